"""What the hooks of members' harnesses are answered, and what the room keeps of their reports.

The answer comes from the member's standing as it is now. It is a read, so that no tool waits for the disk. Only a call
that matches an approval rule is answered by an act: it passes, or a person is asked. The reports are written later,
together, by the supervisor: a lost one is made again with the next tool.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from teamroom.server.acts.approvals.approvals import PASS_CALL, PassCall
from teamroom.server.acts.presence.prompts import watch_prompt
from teamroom.server.clock import Clock
from teamroom.server.door.door import Door
from teamroom.server.door.principal import caller_of, find_principal, is_live
from teamroom.server.door.runtimes import Runtimes
from teamroom.server.facts.approval import compared, rules_of
from teamroom.server.facts.member import member_changed
from teamroom.server.facts.standing import require_active
from teamroom.server.identity import BROWSER, Caller, token_hash
from teamroom.server.refusals import Refusal
from teamroom.server.rules.approvals import ApprovalRule, rules_as_text, rules_matching
from teamroom.server.rules.hooks import HARNESSES, PROMPTING, Hook, Phase, is_own_tool, read_hook
from teamroom.server.rules.local_calls import read_call
from teamroom.server.rules.runtimes import RUNTIME, read_form
from teamroom.server.rules.text import inline
from teamroom.server.settings import FixedSettings
from teamroom.server.store.engine import Transactions
from teamroom.server.store.rows.members import TokenRow
from teamroom.server.store.transaction import Reading, Writing
from teamroom.server.store.words import hidden_text

logger = logging.getLogger("teamroom.hooks")

NO_RULES = "none"
"""The mark of the rules of a member that has none."""

MARK_CHARACTERS = 16

REPORTS_KEPT = 10_000
"""The reports of how many members wait to be written. Further ones are dropped."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a member's own tools are refused.

    `is_over`: it was killed, so its harness is to end altogether. `is_of_token`: its token is not in force.
    """

    why: str
    is_over: bool = False
    is_of_token: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """Whose hook it is, why its tools are refused (None if they are not), and the approval rules that bind it."""

    caller: Caller
    stop: Stop | None
    rules: tuple[ApprovalRule, ...] = ()

    @property
    def is_known_to_act(self) -> bool:
        """Whether the token is in force, so that its holder is no stranger."""
        return self.stop is None or not self.stop.is_of_token

    @property
    def rules_to_keep(self) -> tuple[str, str]:
        """A mark of the member's rules, and the rules as its gate keeps them for when it cannot ask the room.

        A token that was revoked or has expired has none: nothing of it stays on its machine.
        """
        if self.stop is not None and self.stop.is_of_token and not self.stop.is_over:
            return NO_RULES, ""
        text = rules_as_text(self.rules)
        return (hashlib.sha256(text.encode()).hexdigest()[:MARK_CHARACTERS] if text else NO_RULES), text


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be written of a member's newest hooks.

    `gate_at`: when it asked whether a tool may run; None if it did not. `phase` '': nothing is known of it.
    """

    format: str
    at: float
    gate_at: float | None
    phase: Phase | str = ""
    tool: str = ""


def find_passage(tx: Reading, token: str) -> Passage | None:
    """Look whether the member with a token may use tools of its own now; None if the room does not know the token.

    A token that was revoked, or has expired, or whose member was killed, is still known, and refused.
    """
    row = tx.one(TokenRow, "token_by_hash", hash=token_hash(token))
    if row is None or row.token_kind == BROWSER:
        return None
    caller = caller_of(row)
    rules = tuple(compared(rule) for rule in rules_of(tx, caller.member, caller.kind, caller.owner))
    return Passage(caller, _find_stop(tx, row), rules)


def _find_stop(tx: Reading, row: TokenRow) -> Stop | None:
    if row.state == "killed":
        why = f"@{row.name} was killed by @{row.by_name}: {inline(row.reason or '')}."
        fix = f"Stop, and use no more tools. Only an owner can revive @{row.name}."
        return Stop(f"{why} {fix}", is_over=True, is_of_token=True)
    if not is_live(row, tx.now):
        why = f"The room's token of @{row.name} was revoked or has expired."
        return Stop(
            f"{why} Stop, and tell @{row.owner_name}, who gets a new one with `teamroom join`.", is_of_token=True
        )
    principal = find_principal(tx, caller_of(row))
    try:
        if principal is not None:
            require_active(tx, principal, while_paused=False)
    except Refusal as refusal:
        return Stop(f"{refusal.why} Your own tools are refused too. {refusal.fix}")
    return None


class Reports:
    """The reports of hooks that are not written yet, one for each member."""

    def __init__(self) -> None:
        self._unwritten: dict[int, Report] = {}

    def note(self, passage: Passage, format_: str, hook: Hook, at: float) -> bool:
        """Note a hook, of a stopped member only that it asked; returns whether it is the first one to be written."""
        member = passage.caller.member
        before = self._unwritten.get(member)
        if before is None and len(self._unwritten) >= REPORTS_KEPT:
            return False
        phase = "" if passage.stop is not None or hook.phase is None else hook.phase
        asked = at if hook.asks else None if before is None else before.gate_at
        if not phase and before is not None:
            report = Report(format_, at, asked, before.phase, before.tool)
        else:
            report = Report(format_, at, asked, phase, hook.tool if phase else "")
        self._unwritten[member] = report
        return before is None

    def take(self) -> Mapping[int, Report]:
        """The reports that are not written yet; from now on, they count as written."""
        taken, self._unwritten = self._unwritten, {}
        return taken


def write_reports(tx: Writing, reports: Mapping[int, Report]) -> None:
    """Write what harnesses reported."""
    for member, report in reports.items():
        facts = {"format": report.format, "gate_at": report.gate_at, "phase": report.phase, "tool": report.tool}
        tx.run("note_hook", member=member, at=report.at, hidden=hidden_text(report.tool), **facts)
        if report.phase in PROMPTING:
            watch_prompt(tx, member)
        member_changed(tx, member)


class Hooks:
    """Answers the hooks of harnesses, on one event loop. `on_due` gets the time at which the reports are due."""

    def __init__(
        self,
        store: Transactions,
        door: Door,
        clock: Clock,
        settings: FixedSettings,
        reports: Reports,
        runtimes: Runtimes,
        on_due: Callable[[float], object],
    ) -> None:
        self._store, self._door, self._clock, self._settings = store, door, clock, settings
        self._reports, self._runtimes, self._on_due = reports, runtimes, on_due

    async def find_passage(self, token: str) -> Passage | None:
        """Whose hooks have a token, and whether its tools are refused. Raises StorageError."""
        return await self._store.look_up(lambda tx: find_passage(tx, token))

    def hear_runtime(self, passage: Passage, form: bytes) -> None:
        """Note where the gate that asks says that it runs; b"" for a hook that says nothing of it."""
        if form:
            self._runtimes.hear(passage.caller, {RUNTIME: read_form(form)}, None, self._on_due)

    async def answer(self, passage: Passage, format_: str, said: Any) -> dict[str, Any]:
        """The answer to a hook in its harness's own form. The room itself refuses its own tools."""
        harness = HARNESSES[format_]
        hook = read_hook(harness, said)
        now = self._clock()
        if self._reports.note(passage, format_, hook, now):
            self._on_due(now + self._settings.presence_write_seconds)
        stop = passage.stop
        leaves_to_room = stop is None or not stop.is_over or harness.hides_reason
        if not hook.asks or (is_own_tool(hook.tool) and leaves_to_room):
            return {}
        if stop is not None:
            return harness.deny(stop.why, stop.is_over)
        why = await self._why_it_waits(passage, format_, said) if passage.rules else ""
        return harness.deny(why, False) if why else {}

    async def _why_it_waits(self, passage: Passage, format_: str, said: Any) -> str:
        """Why a call of a member with rules must not run now; "" if it may. It never may because something failed."""
        try:
            call = read_call(said)
            if not rules_matching(passage.rules, call):
                return ""
            passed = await self._door.act(passage.caller, PASS_CALL, PassCall(call=call, harness=format_))
            return str(passed.why)
        except Refusal as refusal:
            return f"{refusal.why} This call needs a person, so it does not run. {refusal.fix}"
        except Exception:
            logger.exception("a call that needs a person cannot be checked, so it is refused")
            return "The room failed to check this call, which needs a person. Try again later, or tell your owner."
