"""Checks of the room's database: the clock, the tokens and the log."""

import shlex
from collections.abc import Iterator

from teamroom.clients.local.findings import Finding
from teamroom.clients.local.snapshot import snapshot
from teamroom.clients.local.verify import verified
from teamroom.clients.session.place import Place
from teamroom.server.clock import rfc3339, wall_clock
from teamroom.server.rules.text import backtick, cite
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.log import LogEntry
from teamroom.server.store.rows.members import LiveToken, RosterRow

CLOCK_SLACK_SECONDS = 5.0
OLD_TOKEN_SECONDS = 180 * 86_400.0
TOKEN_ENDS_SECONDS = 7 * 86_400.0
MEMBERS_LOOKED_AT = 10_000
EARLIEST_TIME = 1_767_225_600.0
"""2026-01-01. An earlier clock was never set."""


def check_clock(place: Place) -> Iterator[Finding]:
    """Check that this machine's clock is set, and not behind the log."""
    now = wall_clock()
    with snapshot(place.folder) as tx:
        last = tx.all(LogEntry, "log_page", after=tx.only(ReadHead, "read_head").seq - 1, limit=1)
    newest = last[0].at if last else now
    if now < EARLIEST_TIME:
        yield Finding(
            "problem", "clock", f"This machine's clock says {rfc3339(now)}.", "Set the clock, preferably by NTP."
        )
    elif newest > now + CLOCK_SLACK_SECONDS:
        found = f"This machine's clock says {rfc3339(now)}, but the newest log entry is from {rfc3339(newest)}."
        yield Finding("problem", "clock", found, "Set the clock, preferably by NTP. All dates follow it.")
    else:
        yield Finding("ok", "clock", f"{rfc3339(now)}, not behind the log.")


def check_tokens(place: Place) -> Iterator[Finding]:
    """Check for tokens that are old or expire soon."""
    with snapshot(place.folder) as tx:
        now = tx.now
        members = tx.all(RosterRow, "roster", capability="", after="", limit=MEMBERS_LOOKED_AT)
        live = [(m.name, token) for m in members for token in tx.all(LiveToken, "live_tokens", member=m.id, now=now)]
    if not live:
        yield Finding(
            "problem",
            "tokens",
            "There is no valid token, so nobody can call.",
            f"Run: teamroom recover{place.as_option}",
        )
        return
    name, oldest = min(live, key=lambda of_member: float(of_member[1].created_at))
    found = f"{len(live)} valid. The oldest is @{name}'s ({cite(oldest.label)}), {_days(now, oldest)} days old."
    yield Finding("ok", "tokens", found)
    for name, token in live:
        rotate = ("teamroom", "enroll", name, "--label", token.label, "--rotate")
        renew = f"To replace it, run: {backtick(shlex.join(rotate))}"
        if token.expires_at is not None and token.expires_at - now < TOKEN_ENDS_SECONDS:
            found = f"@{name}'s ({cite(token.label)}) expires at {tx.shown(token.expires_at)}."
            yield Finding("warning", "tokens", found, renew)
        elif now - token.created_at > OLD_TOKEN_SECONDS:
            found = f"@{name}'s ({cite(token.label)}) is {_days(now, token)} days old."
            yield Finding("warning", "tokens", found, renew)


def _days(now: float, token: LiveToken) -> int:
    return int((now - token.created_at) / 86_400)


def check_log(place: Place) -> Iterator[Finding]:
    """Check that the log verifies, up to its seal."""
    found = verified(place.folder, seal_wait_seconds=0)
    if found.good and found.seal is not None:
        seal = f"sealed up to {found.seal.seq} at {rfc3339(found.seal.at)}"
        yield Finding("ok", "log", f"{found.verification.entries} entries verified, {seal}.")
        if named := found.verification.named:
            words = f"The log verifies, but {len(named)} things were wrong at some time. The first: {named[0]}."
            yield Finding("warning", "log", words, "Run `teamroom verify`, which shows all of them.")
    elif found.verification.good:
        yield Finding(
            "warning",
            "log",
            f"{found.verification.entries} entries verified, but {found.why}.",
            "Make any call to the room, so that it writes a seal.",
        )
    else:
        found_bad = f"Entry {found.verification.first_bad}: {found.why}."
        yield Finding("problem", "log", found_bad, "Keep the folder as evidence, and restore a backup that verifies.")
