"""The targets that are paused or killed, with reason and end, and those that were released."""

import json
import math
from typing import Literal

from pydantic import BaseModel

from teamroom.server.acts.overnight.sections import Kind, shorten
from teamroom.server.clock import rfc3339
from teamroom.server.store.rows.overnight import NewestStop, ResumedBy, StoppedRow, SubjectCount
from teamroom.server.store.transaction import Reading

REVIVAL = '%"revive":true%'
"""A pattern of the detail of an enrollment that revived a member. Quotes in a label are escaped, so none matches."""


class Stopped(BaseModel):
    """A target that is or was stopped: `@name`, `owner:NAME` or `room`; `by` gave the `reason`.

    `standing` active: `ended_by` ended the stop, or it expired if that is None; `revived`: after a kill. `times`: how
    often the target was stopped or released in the span.
    """

    target: str
    standing: Literal["active", "paused", "killed"]
    by: str
    since: str
    until: str | None
    reason: str
    times: int = 1
    ended_by: str | None = None
    ended_at: str | None = None
    revived: bool = False

    @property
    def ending(self) -> str:
        """How the stop ended: "revived" or "resumed"."""
        return "revived" if self.revived else "resumed"


def list_stopped(tx: Reading, since: float, after: int) -> list[Kind[Stopped]]:
    """The targets that are stopped, or were released in the span; paused ones first."""
    return [
        _in_force(tx, "paused", "paused", -math.inf, tx.now),
        _in_force(tx, "killed", "killed", since, tx.now),
        Kind(
            "let_go",
            tx.number("count_resumed", after=after, now=tx.now, revival=REVIVAL),
            lambda limit: _list_released(tx, after, limit),
        ),
        _in_force(tx, "killed_before", "killed", -math.inf, since),
    ]


def _in_force(tx: Reading, kind: str, state: str, since: float, upto: float) -> Kind[Stopped]:
    about = {"state": state, "since": since, "upto": upto, "now": tx.now}
    return Kind(
        kind,
        tx.number("count_stopped", **about),
        lambda limit: [_standing(tx, row) for row in tx.all(StoppedRow, "who_is_stopped", **about, limit=limit)],
    )


def _standing(tx: Reading, row: StoppedRow) -> Stopped:
    target = {"member": f"@{row.name}", "owner": f"owner:{row.name}", "room": "room"}[row.scope]
    return Stopped(
        target=target,
        standing=row.state,
        by=row.by_name,
        since=tx.shown(row.since),
        until=None if row.until is None else tx.shown(row.until),
        reason=shorten(row.reason),
    )


def _list_released(tx: Reading, after: int, limit: int) -> list[Stopped]:
    found = []
    for row in tx.all(SubjectCount, "resumed", after=after, now=tx.now, revival=REVIVAL, limit=limit):
        stop = tx.one(NewestStop, "newest_stop", subject=row.subject)
        if stop is None:
            continue  # the log has no stop of it
        resumed = tx.one(ResumedBy, "resumed_after", subject=row.subject, after=stop.seq, revival=REVIVAL)
        detail = json.loads(stop.detail) if stop.detail else {}
        until = detail.get("until")
        ended_at = resumed.at if resumed is not None else until
        found.append(
            Stopped(
                target=row.subject,
                standing="active",
                by=stop.actor,
                since=rfc3339(stop.at),
                until=None if until is None else rfc3339(until),
                reason=shorten(detail.get("reason", "")),
                times=row.times,
                ended_by=None if resumed is None else resumed.actor,
                ended_at=None if ended_at is None else rfc3339(ended_at),
                revived=resumed is not None and resumed.act == "enroll",
            )
        )
    return found
