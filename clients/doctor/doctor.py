"""`teamroom doctor`: looks at the room, its folder and this machine, and says what mends what it finds."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
from rich.text import Text

from teamroom.clients.doctor.findings import Finding, Level, mended
from teamroom.clients.doctor.folder import agents, folder, newest_backup, same_user
from teamroom.clients.doctor.kill_drill import kill_drill
from teamroom.clients.local.verify import reading, verified
from teamroom.clients.session.failure import FAILED, PAUSED, Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.room import ask
from teamroom.clients.session.terminal import aligned, console, plain, print_hanging, print_json
from teamroom.clients.shell.notify import channels
from teamroom.server.clock import rfc3339, wall_clock
from teamroom.server.settings import (
    Origin,
    Settings,
    SettingsError,
    contradictions,
    load_with_origins,
    policy_values,
    shown,
)
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.log import LogEntry
from teamroom.server.store.rows.members import LiveToken, RosterRow

WAL_RESET_FIXED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""SQLite releases that mend the WAL-reset fault: two older lines, and everything from the last on."""

WAL_RESET_URL = "https://sqlite.org/wal.html#walresetbug"

HEALTH_SECONDS = 2.0
SLOW_ACT_SECONDS = 1.0
CLOCK_SLACK_SECONDS = 5.0
OLD_TOKEN_SECONDS = 180 * 86_400.0
TOKEN_ENDS_SECONDS = 7 * 86_400.0
MEMBERS_LOOKED_AT = 10_000
EARLIEST_TIME = 1_767_225_600.0
"""2026-01-01: a clock before it was never set."""

STYLES = {"ok": "green", "mended": "green", "warning": "yellow", "problem": "bold red"}


def doctor(place: Place, as_json: bool, fix: bool = False, drill: bool = False) -> int:
    """Look at everything, each by itself, and say what was found; returns the exit code.

    `fix` mends what is safe to mend; `drill` kills a member made for it. Without them nothing is changed.
    """
    findings: list[Finding] = []
    for about, look in (*CHECKS, ("drill", kill_drill)) if drill else CHECKS:
        try:
            findings += map(mended, look(place)) if fix else look(place)
        except Failure as failure:
            findings.append(Finding("problem", about, failure.why, failure.fix))
    _show(findings, _settings_table(place), as_json)
    return FAILED if any(finding.level == "problem" for finding in findings) else 0


# ------------------------------------------------------------------ the machine


def _sqlite(place: Place) -> Iterator[Finding]:
    version = sqlite3.sqlite_version
    if has_wal_reset_fix(sqlite3.sqlite_version_info):
        yield Finding("ok", "sqlite", f"SQLite {version}.")
        return
    yield Finding(
        "warning",
        "sqlite",
        f"SQLite {version} has the WAL-reset fault, which two writing connections can meet; the room writes and "
        "checkpoints with one.",
        f"Let nothing else open {DATABASE} for writing; a Python with SQLite 3.51.3 mends it. {WAL_RESET_URL}",
    )


def has_wal_reset_fix(version: tuple[int, ...]) -> bool:
    """Whether a SQLite release mends the WAL-reset fault."""
    return version >= WAL_RESET_FIXED[-1] or any(
        version[:2] == line[:2] and version >= line for line in WAL_RESET_FIXED
    )


def _clock(place: Place) -> Iterator[Finding]:
    now = wall_clock()
    with reading(place.folder) as tx:
        last = tx.all(LogEntry, "log_page", after=tx.only(ReadHead, "read_head").seq - 1, limit=1)
    newest = last[0].at if last else now
    if now < EARLIEST_TIME:
        yield Finding("problem", "clock", f"This machine says it is {rfc3339(now)}.", "Set its clock, best by NTP.")
    elif newest > now + CLOCK_SLACK_SECONDS:
        found = f"This machine says it is {rfc3339(now)}; the newest entry of the log is of {rfc3339(newest)}."
        yield Finding("problem", "clock", found, "Set the clock, best by NTP: leases and pauses go by it.")
    else:
        yield Finding("ok", "clock", f"{rfc3339(now)}, not behind the log.")


# ------------------------------------------------------------------ the room


def _reachable(place: Place) -> Iterator[Finding]:
    url = place.endpoint.removesuffix("/mcp")
    try:
        alive = httpx2.get(f"{url}/healthz", timeout=HEALTH_SECONDS, trust_env=False)
        ready = httpx2.get(f"{url}/readyz", timeout=HEALTH_SECONDS, trust_env=False)
    except httpx2.HTTPError as error:
        found = f"Nothing answers at {url} ({type(error).__name__})."
        yield Finding("problem", "room", found, f"Open it: teamroom up --data {place.folder}")
        return
    if not alive.is_success:
        found = f"What answers at {url} is no room (HTTP {alive.status_code})."
        yield Finding("problem", "room", found, "Choose another port: teamroom up --port N")
    elif not ready.is_success:
        yield Finding(
            "problem", "room", f"The room at {url} cannot read its database.", "Look at its disk and its log."
        )
    else:
        yield Finding("ok", "room", f"It answers at {url}.")


def _tokens(place: Place) -> Iterator[Finding]:
    now = wall_clock()
    with reading(place.folder) as tx:
        members = tx.all(RosterRow, "roster", name="", capability="", after="", limit=MEMBERS_LOOKED_AT)
        live = [(m.name, token) for m in members for token in tx.all(LiveToken, "live_tokens", member=m.id, now=now)]
    if not live:
        yield Finding("problem", "tokens", "No token is live: nobody can call.", "Put back a copy of the folder.")
        return
    name, oldest = min(live, key=lambda of_member: float(of_member[1].created_at))
    found = f"{len(live)} live; the oldest is @{name}'s ({oldest.label}), {_days(now, oldest)} days old."
    yield Finding("ok", "tokens", found)
    for name, token in live:
        renew = f"Replace it: teamroom enroll {name} --label '{token.label}' --rotate"
        if token.expires_at is not None and token.expires_at - now < TOKEN_ENDS_SECONDS:
            found = f"@{name}'s ({token.label}) ends at {rfc3339(token.expires_at)}."
            yield Finding("warning", "tokens", found, renew)
        elif now - token.created_at > OLD_TOKEN_SECONDS:
            yield Finding("warning", "tokens", f"@{name}'s ({token.label}) is {_days(now, token)} days old.", renew)


def _days(now: float, token: LiveToken) -> int:
    return int((now - token.created_at) / 86_400)


def _settings(place: Place) -> Iterator[Finding]:
    try:
        load_with_origins(place.folder, dict(place.environment))
    except SettingsError as error:
        yield Finding("problem", "settings", str(error), "Correct it; the room does not start with it.")
        return
    try:
        settings, origins = _in_force(place)
    except SettingsError as error:
        fix = "Set it again: teamroom policy NAME VALUE. `teamroom policy` shows what it may name."
        yield Finding("problem", "settings", f"Acts are denied: {error}.", fix)
        return
    changed = [name for name, origin in origins.items() if origin != "default"]
    for pair in contradictions(settings):
        yield Finding("warning", "settings", f"{pair}.", "Correct one of them, in room.toml or by `teamroom policy`.")
    found = f"{len(origins)} in force, {len(changed)} of them not the default" + (
        ": " + ", ".join(f"{name} = {shown(name, getattr(settings, name))} ({origins[name]})" for name in changed)
        if changed
        else ""
    )
    yield Finding("ok", "settings", f"{found}.")


def _in_force(place: Place) -> tuple[Settings, dict[str, Origin]]:
    """The settings with the room's policy, and where each value comes from. Raises SettingsError."""
    settings, origins = load_with_origins(place.folder, dict(place.environment))
    if not (place.folder / DATABASE).exists():
        return settings, origins
    with reading(place.folder) as tx:
        document = tx.value(str, "policy")
    origins |= dict.fromkeys(policy_values(document), "policy")
    return settings.model_copy(update=dict(policy_values(document))), origins


def _chain(place: Place) -> Iterator[Finding]:
    found = verified(place.folder, seal_wait_seconds=0)
    if found.good and found.seal is not None:
        seal = f"sealed up to {found.seal.seq} at {rfc3339(found.seal.at)}"
        yield Finding("ok", "log", f"{found.verification.entries} entries verified, {seal}.")
    elif found.verification.good:
        yield Finding(
            "warning", "log", f"{found.verification.entries} entries verified, but {found.why}.", "Let it act once."
        )
    else:
        found_bad = f"Entry {found.verification.first_bad}: {found.why}."
        yield Finding("problem", "log", found_bad, "Keep the folder as it is, and put back a copy that verifies.")


def _act(place: Place) -> Iterator[Finding]:
    """One real act, timed: the way that every member's calls go."""
    try:
        started = time.perf_counter()
        ask(place, "heartbeat")
        took = time.perf_counter() - started
    except Failure as failure:
        level: Level = "warning" if failure.exit_code == PAUSED or "code" not in failure.body else "problem"
        yield Finding(level, "act", f"No act was carried out: {failure.why}", failure.fix)
        return
    if took > SLOW_ACT_SECONDS:
        found = f"A heartbeat took {took * 1000:.0f} ms, connecting included."
        yield Finding("warning", "act", found, "Look at what else this machine and its disk do.")
    else:
        yield Finding("ok", "act", f"A heartbeat took {took * 1000:.0f} ms, connecting included.")


CHECKS: tuple[tuple[str, Callable[[Place], Iterator[Finding]]], ...] = (
    ("folder", folder),
    ("same user", same_user),
    ("agents", agents),
    ("sqlite", _sqlite),
    ("clock", _clock),
    ("settings", _settings),
    ("room", _reachable),
    ("act", _act),
    ("tokens", _tokens),
    ("notify", channels),
    ("log", _chain),
    ("backups", newest_backup),
)


# ------------------------------------------------------------------ showing it


def _settings_table(place: Place) -> dict[str, dict[str, Any]]:
    try:
        settings, origins = _in_force(place)
    except (SettingsError, Failure):
        return {}
    values = {**settings.model_dump(mode="json"), "notify": shown("notify", settings.notify)}
    return {name: {"value": values[name], "origin": origins[name]} for name in Settings.model_fields}


def _show(findings: list[Finding], settings: dict[str, dict[str, Any]], as_json: bool) -> None:
    good = not any(finding.level == "problem" for finding in findings)
    if as_json:
        print_json({"ok": good, "checks": [finding.data() for finding in findings], "settings": settings})
        return
    out = console()
    for finding in findings:
        head = Text.assemble((f"{finding.level:<8} ", STYLES[finding.level]), (f"{finding.about:<9}", "dim"))
        print_hanging(out, head, Text(plain(finding.found)))
        if finding.fix:
            print_hanging(out, Text(" " * head.cell_len), Text(f"Fix: {plain(finding.fix)}"))
    out.print()
    out.print(Text("settings in force", style="bold"))
    rows = [[name, str(entry["origin"]), plain(str(entry["value"]))] for name, entry in settings.items()]
    for line in aligned(rows):
        out.print(Text(f"  {line}"))
