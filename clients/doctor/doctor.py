"""`teamroom doctor`: checks the room, its folder and this machine, and says how to fix problems."""

import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from teamroom.clients.doctor.kill_drill import kill_drill
from teamroom.clients.doctor.machine import check_agents, check_sqlite, check_user
from teamroom.clients.doctor.runtimes import check_runtimes
from teamroom.clients.doctor.wake_drill import wake_drill
from teamroom.clients.local.check_database import check_database
from teamroom.clients.local.check_folder import check_backups, check_folder
from teamroom.clients.local.check_record import check_clock, check_log, check_tokens
from teamroom.clients.local.check_settings import check_channels, check_settings, settings_table
from teamroom.clients.local.findings import Finding, Level, mended
from teamroom.clients.session.blocking import ask, connected
from teamroom.clients.session.connection import Connection
from teamroom.clients.session.failure import FAILED, PAUSED, Failure, UnreachableError
from teamroom.clients.session.place import Place, token
from teamroom.clients.session.program import pasteable
from teamroom.clients.session.spans import span
from teamroom.clients.session.terminal import Styled, aligned, plain, print_hanging, print_json, print_line
from teamroom.clients.session.times import with_local_times

HEALTH_SECONDS = 2.0
SLOW_ACT_SECONDS = 1.0

NO_ROOM_THERE = (
    "If another program has that port, end it, start the room, and give each member whose harness called it a new "
    "token: `teamroom enroll NAME --rotate`. If it is the room, your token is of another room, or the port is "
    "forwarded and its address is missing in allowed_hosts."
)

STYLES: dict[Level, str] = {"ok": "green", "mended": "green", "warning": "yellow", "problem": "bold red"}
"""The levels of findings, the worst one last, and their styles."""


def doctor(
    place: Place,
    as_json: bool,
    fix: bool = False,
    drill: bool = False,
    shows_settings: bool = False,
    wake: str | None = None,
    word_fix: Callable[[str], str] = str,
) -> int:
    """Run all checks and print the findings; returns the exit code. A failing check does not stop the others.

    `fix` fixes what is safe to fix. `drill` kills a temporary member. Without them, nothing is changed, except that
    permissions are tightened, as every command does. `shows_settings` prints the settings first. `wake`: only wakes
    that member. `word_fix` writes a refusal's fix with the words of the caller.
    """
    findings: list[Finding] = []
    failed = dict[tuple[str, str], list[str]]()
    checks = CHECKS if wake is None else (("wake", partial(wake_drill, name=wake)),)
    for about, look in (*checks, ("drill", kill_drill)) if drill else checks:
        try:
            findings += map(mended, look(place)) if fix else look(place)
        except Failure as failure:
            words = f"{failure.why} {failure.caller}".strip(), word_fix(failure.fix)
            failed.setdefault(words, []).append(about)
    findings += [_failed(found, remedy, checked) for (found, remedy), checked in failed.items()]
    is_good = not any(finding.level == "problem" for finding in findings)
    if as_json:
        found = [finding.data() for finding in findings]
        print_json({"ok": is_good, "checks": found, "settings": settings_table(place)})
    else:
        if shows_settings:
            _show_settings(settings_table(place))
        _show_findings(findings, shows_settings or wake is not None, place.named_options, by_level=wake is None)
    return 0 if is_good else FAILED


def _failed(found: str, remedy: str, checks: list[str]) -> Finding:
    """What kept some checks from being made."""
    first, *others = checks
    more = f" For the same reason, these could not be checked: {', '.join(others)}." if others else ""
    return Finding("problem", first, f"{found}{more}", remedy)


# ------------------------------------------------------------------ the room


def _reachable(place: Place) -> Iterator[Finding]:
    url = place.endpoint.removesuffix("/mcp")
    try:
        with Connection(url, HEALTH_SECONDS) as connection:
            prefix = urlsplit(url).path
            alive, ready = connection.get(f"{prefix}/healthz"), connection.get(f"{prefix}/readyz")
    except UnreachableError as failure:
        found = f"Nothing answers at {url} ({failure.fault})."
        start = f"teamroom up --data {shlex.quote(str(place.folder))}"
        yield Finding("problem", "room", found, f"To start it, run: {start}")
        return
    if not alive.is_success:
        found = f"A server answers at {url}, but it is not a room (HTTP {alive.status})."
        yield Finding("problem", "room", found, "Choose another port: `teamroom up --port N`.")
    elif not ready.is_success:
        yield Finding(
            "problem",
            "room",
            f"The room at {url} is not ready: it cannot use its database, or a part that it needs fails.",
            "Check its disk and its server log.",
        )
    elif (unproven := _unproven(place)) is not None:
        yield Finding("problem", "room", unproven.why, NO_ROOM_THERE)
    else:
        yield Finding("ok", "room", f"The room answers at {url}.")


def _unproven(place: Place) -> Failure | None:
    """Return why the server at the room's address cannot prove that it is the room; None without a token to ask for."""
    try:
        bearer = token(place)
    except Failure:
        return None
    try:
        with Connection(place.endpoint) as connection:
            connection.require_proof(bearer)
    except Failure as failure:
        return failure
    return None


def _parts(place: Place) -> Iterator[Finding]:
    """Report each part of the room with its last sign of life. `_reachable` says if the room does not answer."""
    try:
        parts = _read(place)["parts"]
    except Failure:
        return
    for part in parts:
        ago = "" if part["seconds_ago"] is None else f", last sign of life {span(part['seconds_ago'])} ago"
        words = f"{part['part']}: {part['state']}{ago}" + (f" ({part['detail']})" if part["detail"] else "")
        is_bad = part["state"] in ("silent", "failed")
        level: Level = "ok" if not is_bad else "problem" if part["needed"] else "warning"
        yield Finding(level, "part", f"{words}.", "See the server's log. If it stays so, restart the room." * is_bad)


def _read(place: Place) -> dict[str, Any]:
    with connected(place) as room:
        return room.read("teamroom://health")


def _act(place: Place) -> Iterator[Finding]:
    """Carry out one real act and time it."""
    try:
        started = time.perf_counter()
        ask(place, "heartbeat")
        took = time.perf_counter() - started
    except Failure as failure:
        level: Level = "warning" if failure.exit_code == PAUSED or "code" not in failure.body else "problem"
        yield Finding(level, "act", f"The act failed: {failure.why} {failure.caller}".strip(), failure.fix)
        return
    if took > SLOW_ACT_SECONDS:
        found = f"A heartbeat took {took * 1000:.0f} ms, including the connection."
        yield Finding("warning", "act", found, "Check the load of this machine and its disk.")
    else:
        yield Finding("ok", "act", f"A heartbeat took {took * 1000:.0f} ms, including the connection.")


CHECKS: tuple[tuple[str, Callable[[Place], Iterator[Finding]]], ...] = (
    ("folder", check_folder),
    ("same user", check_user),
    ("agents", check_agents),
    ("sqlite", check_sqlite),
    ("database", check_database),
    ("clock", check_clock),
    ("settings", check_settings),
    ("room", _reachable),
    ("part", _parts),
    ("act", _act),
    ("runtimes", check_runtimes),
    ("tokens", check_tokens),
    ("notify", check_channels),
    ("log", check_log),
    ("backups", check_backups),
)


def _show_settings(settings: dict[str, dict[str, Any]]) -> None:
    print_line(Styled("settings in force", style="bold"))
    rows = [[name, str(entry["origin"]), plain(str(entry["value"]))] for name, entry in settings.items()]
    for line in aligned(rows):
        print_line(Styled(f"  {line}"))
    print()


def _show_findings(
    findings: list[Finding], shows_settings: bool, options: Mapping[str, str], by_level: bool = True
) -> None:
    """Print the findings, `by_level` the worst ones last, and how many there are of each kind."""
    for finding in sorted(findings, key=lambda finding: by_level and tuple(STYLES).index(finding.level)):
        head = Styled((f"{finding.level:<8} ", STYLES[finding.level]), (f"{finding.about:<9}", "dim"))
        print_hanging(head, Styled(plain(with_local_times(pasteable(finding.found, options)))))
        if finding.fix:
            print_hanging(Styled(" " * len(head.text)), Styled(f"Fix: {plain(pasteable(finding.fix, options))}"))
    count = Counter(finding.level for finding in findings)
    counts = [_counted(count[level], level) for level in ("problem", "warning")]
    mended = f", {count['mended']} mended" if count["mended"] else ""
    more = "" if shows_settings else " To see the settings in force, add --settings."
    print_line(Styled(f"{' and '.join(counts)}{mended}.".capitalize() + more, style="dim"))


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
