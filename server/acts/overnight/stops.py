"""Who is paused or killed, by whom, why and until when; and who was, and may act again."""

import json
from typing import Literal

from pydantic import BaseModel

from teamroom.server.acts.overnight.sections import Kind, short
from teamroom.server.clock import rfc3339
from teamroom.server.store.rows.overnight import NewestStop, ResumedBy, StoppedRow, SubjectCount
from teamroom.server.store.transaction import Reading

REVIVAL = '%"revive":true%'
"""What stands in the detail of an enrolment that brought a killed member back; a label has its quotes escaped."""


class Stopped(BaseModel):
    """One that is stopped, or was: `@name`, `owner:NAME` or `room`; `by` gave the `reason`.

    `standing` active: it was let go, by `ended_by`, or by itself where that is None; `revived` after a kill. `times`:
    how often it was stopped or let go in the span.
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
    def let_go(self) -> str:
        """What whoever ended it did."""
        return "revived" if self.revived else "resumed"


def stops(tx: Reading, since: float, after: int) -> list[Kind[Stopped]]:
    """Who is stopped now, and who was let go in the span; those first that are stopped and may be let go."""
    return [
        _in_force(tx, "paused", "paused", -1.0, tx.now),
        _in_force(tx, "killed", "killed", since, tx.now),
        Kind(
            "let_go",
            tx.number("count_let_go", after=after, now=tx.now, revival=REVIVAL),
            lambda limit: _let_go(tx, after, limit),
        ),
        _in_force(tx, "killed_before", "killed", -1.0, since),
    ]


def _in_force(tx: Reading, kind: str, state: str, since: float, upto: float) -> Kind[Stopped]:
    about = {"state": state, "since": since, "upto": upto, "now": tx.now}
    return Kind(
        kind,
        tx.number("count_stopped", **about),
        lambda limit: [_standing(row) for row in tx.all(StoppedRow, "who_is_stopped", **about, limit=limit)],
    )


def _standing(row: StoppedRow) -> Stopped:
    target = {"member": f"@{row.name}", "owner": f"owner:{row.name}", "room": "room"}[row.scope]
    return Stopped(
        target=target,
        standing=row.state,
        by=row.by_name,
        since=rfc3339(row.since),
        until=None if row.until is None else rfc3339(row.until),
        reason=short(row.reason),
    )


def _let_go(tx: Reading, after: int, limit: int) -> list[Stopped]:
    found = []
    for row in tx.all(SubjectCount, "let_go", after=after, now=tx.now, revival=REVIVAL, limit=limit):
        stop = tx.one(NewestStop, "newest_stop", subject=row.subject)
        if stop is None:
            continue  # it was stopped in a log that is not this one
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
                reason=short(detail.get("reason", "")),
                times=row.times,
                ended_by=None if resumed is None else resumed.actor,
                ended_at=None if ended_at is None else rfc3339(ended_at),
                revived=resumed is not None and resumed.act == "enroll",
            )
        )
    return found
