"""A repair: claimed in the room, tried on this machine, and completed once the room sees the member act again.

Every restart is first noted in the room, with the fence of the claim. So a watchdog that is paused or has lost the
task restarts nothing.
"""

import time
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

import anyio

from teamroom.clients.session.failure import Failure
from teamroom.clients.session.room import Room
from teamroom.clients.session.session import Tell
from teamroom.clients.session.spans import span
from teamroom.clients.watchdog.machine import NOT_STARTED, Machine
from teamroom.clients.watchdog.runtimes import Runtimes

if TYPE_CHECKING:
    from teamroom.clients.session.shapes import Claimed, Evidence, MemberShown, Repaired

PACE_SECONDS = 1.0
"""How often the room is asked whether a restarted member acts."""

HEALTHY = frozenset({"live", "working", "asleep"})
"""The presence of a member that acts, or that is not expected to."""

LEFT_TO_OTHERS = frozenset({"taken", "conflict", "not_found", "stale_fence"})
"""Refusals which say that a repair belongs to another watchdog, or no longer to this one."""

NOT_ASKED = frozenset({"rate_limited", "not_allowed", "conflict"})
"""Refusals of a question to a restarted member, without which its repair can end too."""

NEVER_CALLED = "it has never called the room"
"""What is wrong with a runtime that never ran, where only the room would show that it runs."""

LOUDEST_FIRST: tuple[Literal["alert", "ask", "note"], ...] = ("alert", "ask", "note")
"""The kinds of message to an owner, in order of preference. The first ones have rate limits."""

Outcome = Literal["well", "left", "again", "given up"]
"""The outcome of a repair: healthy, left to others, to be retried, or given up and reported to the owner."""


@dataclass(frozen=True, slots=True)
class Before:
    """What the room knew of a member before it was restarted."""

    last_call: str
    last_progress: str
    last_act: str
    listening: bool

    def sign(self, member: "MemberShown") -> "Sign | None":
        """Return the sign that the member is well again since; None without a sign.

        A call proves only a connection. So it is a sign only if nothing waits for an act of the member.
        """
        if member["presence"] not in HEALTHY:
            return None
        called, moved, acted = (member[what] or "" for what in ("last_call", "last_progress", "last_act"))
        if acted > self.last_act:
            return Sign(f"{member['presence']}, acted at {acted}", acts=True)
        if moved > self.last_progress:
            return Sign(f"{member['presence']}, its work moved at {moved}", acts=True)
        if member["wake_waits_since"] is not None:
            return None
        if called > self.last_call:
            return Sign(f"{member['presence']}, called at {called}, and nothing waits for it")
        if member["listening"] and not self.listening:
            return Sign(f"{member['presence']}, listens again, and nothing waits for it")
        return None


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign that a member is well: in words, and whether the member acted. A call alone is no act."""

    words: str
    acts: bool = False


def before(member: "MemberShown") -> Before:
    """Return what the room knows of a member now."""
    called, moved, acted = (member[what] or "" for what in ("last_call", "last_progress", "last_act"))
    return Before(called, moved, acted, bool(member["listening"]))


@dataclass(slots=True)
class Claim:
    """A repair that this watchdog has claimed."""

    name: str
    task: str
    fence: int
    ordered: bool
    """Whether a person requested it, and there was no restart since.

    Then the runtime is restarted even if it looks healthy or reached the limit, unless it was started elsewhere.
    """
    tried_at: str | None
    """When the room noted the last restart of an earlier run of this watchdog."""
    tried_ages: list[float]
    tried_before: int
    """How many restarts this repair had before the claim."""
    claimed_at: float = field(default_factory=time.monotonic)
    tried: list[str] = field(default_factory=list)
    receipt: int | None = None
    is_first_start: bool = False
    """Whether the first of these tries started a runtime that never ran, which is no restart."""

    @property
    def is_wanted(self) -> bool:
        """Whether a requested restart was not made yet."""
        return self.ordered and not self.tried

    def recent(self, seconds: float) -> int:
        """Return the number of restarts of this runtime within a span, by any watchdog."""
        since = time.monotonic() - self.claimed_at
        return len(self.tried) + sum(age + since < seconds for age in self.tried_ages)


class Repairs:
    """Repairs the runtimes of a config, one repair per runtime at a time."""

    def __init__(self, room: Room, machine: Machine, config: Runtimes, me: str, tell: Tell) -> None:
        self._room, self._machine, self._config, self._me, self._tell = room, machine, config, me, tell
        self._strangers: set[str] = set()
        self._elsewhere: set[str] = set()
        self._at_work: set[str] = set()
        self._left: set[str] = set()

    async def carry_out(self, name: str, found: str | None) -> Outcome:
        """Carry out the requested repair of a runtime, or a new one for what was found here."""
        member = await self.who(name)
        if member is None:
            return "left"
        try:
            return await self._carry_out(name, found, member)
        except Failure as failure:
            code = failure.body.get("code")
            if code == "wip_cap":
                return "again"
            if code not in LEFT_TO_OTHERS:
                raise
            self._tell("left", f"@{name}: {failure.why}", quiet=True, runtime=name)
            return "left"

    async def _carry_out(self, name: str, found: str | None, member: "MemberShown") -> Outcome:
        is_active = member["standing"] == "active"
        if found is None and member["last_call"] is None and not self._config.runtime[name].is_seen_here:
            found = NEVER_CALLED
        runs_elsewhere = await self._runs_elsewhere(name, member)
        if runs_elsewhere is None:
            return "again"
        is_at_work = await self._is_at_work(name, member)
        wanted = found if is_active and not runs_elsewhere and not is_at_work else None
        asked = await self._room.repair(name=name, found=wanted)
        self._report_elsewhere(name, runs_elsewhere)
        is_left_at_work = is_at_work and not asked["ordered"]
        self._report_at_work(member, is_left_at_work and (found is not None or asked["task"] is not None))
        if asked["task"] is None or not await self._may_carry_out(asked["holder"]):
            return "left"
        if is_left_at_work:
            return "again"
        if not is_active and asked["holder"] is None:
            return "left"
        if member["standing"] == "paused" and asked["state"] == "blocked":
            return "again"
        if self._was_given_up(asked):
            return self._leave_given_up(name, asked["task"])
        if asked["released"] and not (runs_elsewhere or await self._is_back(member, asked["task"])):
            return self._leave_given_up(name, asked["task"])
        claim = self._claim(name, asked, await self._room.claim_task(task=asked["task"]))
        return await self._carry_through(claim)

    async def _may_carry_out(self, holder: str | None) -> bool:
        """Whether nobody holds a repair, or this watchdog does, which may have got another name."""
        if holder not in (None, self._me):
            self._me = str((await self._room.me())["name"])
        return holder in (None, self._me)

    async def _runs_elsewhere(self, name: str, member: "MemberShown") -> bool | None:
        """Whether the room sees a healthy member whose runtime was not started here.

        None if that is unclear: it called recently, perhaps before it ended. A member for which nothing ever listened
        has no runtime: what called recently was a person with its token.
        """
        is_reachable = member["presence"] in HEALTHY and (member["listening"] or member["connected"])
        if not is_reachable or not (await self._machine.look(name)).may_run_elsewhere:
            return False
        if member["listening"]:
            return True
        return None if member.get("has_listened", True) else False

    def _report_elsewhere(self, name: str, is_so: bool) -> None:
        if is_so and name not in self._elsewhere:
            self._tell("elsewhere", f"{_from_elsewhere(name)} Or remove it from the config.", runtime=name)
        (self._elsewhere.add if is_so else self._elsewhere.discard)(name)

    async def _is_at_work(self, name: str, member: "MemberShown") -> bool:
        """Whether a run of the member counts as work, as the room sees it, and no process of it is gone here.

        Then nothing is repaired: its model may be in the middle of a long turn.
        """
        if member["presence"] != "working" or member.get("run") is None:
            return False
        return not (await self._machine.look(name)).is_gone

    def _report_at_work(self, member: "MemberShown", is_so: bool) -> None:
        name = member["name"]
        if is_so and name not in self._at_work:
            words = (
                f"@{name} is at work: {member['reason']}. Nothing is restarted before its run ends or no longer moves."
            )
            self._tell("at_work", words, runtime=name)
        (self._at_work.add if is_so else self._at_work.discard)(name)

    def _was_given_up(self, asked: "Repaired") -> bool:
        """Whether an earlier repair reported these restarts to the owner, as a member may fail repeatedly.

        A repair that a person ordered is not given up.
        """
        if asked["ordered"]:
            return False
        within, reported_ago = self._config.repairs_within, asked["given_up_seconds_ago"]
        recent = sum(age < within for age in asked["tried_seconds_ago"])
        return (
            not asked["released"]
            and reported_ago is not None
            and reported_ago < within
            and recent >= self._config.repairs
        )

    def _leave_given_up(self, name: str, task: str) -> Outcome:
        """Leave a repair to people, and report that once."""
        if task not in self._left:
            words = (
                f"The watchdog gave up on @{name} ({task}), and its owner was notified. It does nothing more until "
                f"@{name} acts or a person requests a repair (the tool repair)."
            )
            self._tell("left", words, runtime=name, task=task)
        self._left.add(task)
        return "left"

    async def who(self, name: str) -> "MemberShown | None":
        """Return a member from the room; None if the room has none, which is reported once.

        It has the name of the config, which may be a former one.
        """
        try:
            member: MemberShown = (await self._room.who(name=name))["members"][0]
        except Failure as failure:
            if failure.body.get("code") != "not_found":
                raise
            if name not in self._strangers:
                self._tell("stranger", f"There is no member @{name} in this room.", runtime=name)
            self._strangers.add(name)
            return None
        self._strangers.discard(name)
        return {**member, "name": name}

    @staticmethod
    def _claim(name: str, asked: "Repaired", claimed: "Claimed") -> Claim:
        tried_before = sum(entry["kind"] == "working" for entry in claimed["history"])
        since_ordered = takewhile(lambda entry: entry["kind"] != "ordered", claimed["history"])
        tries = [entry["at"] for entry in since_ordered if entry["kind"] == "working"]
        ordered = bool(asked["ordered"]) and not tries
        tried_at = max(tries, default=None)
        ages = asked["tried_seconds_ago"]
        return Claim(name, claimed["task"], claimed["fence"], ordered, tried_at, ages, tried_before)

    # -------------------------------------------------------------- the steps of a repair

    async def _carry_through(self, claim: Claim) -> Outcome:
        name, limit, within = claim.name, self._config.repairs, self._config.repairs_within
        sign = await self._sign_without_restart(claim)
        while sign is None:
            member = await self.who(name)
            if member is None or member["standing"] != "active":
                return await self._stop(claim, member)
            runs_elsewhere = await self._runs_elsewhere(name, member)
            if runs_elsewhere is None:
                return "again"
            if runs_elsewhere:
                return await self._leave_elsewhere(claim)
            if not claim.is_wanted and await self._is_at_work(name, member):
                return "again"
            if claim.recent(within) >= limit and not claim.is_wanted:
                return await self._give_up(claim, member)
            number = claim.recent(within) + 1
            sign = await self._restart(claim, member, number)
        await self._complete(claim, sign)
        return "well"

    async def _sign_without_restart(self, claim: Claim) -> Sign | None:
        """Return the sign that no restart is needed: it is healthy, or was restarted by an earlier run."""
        member = await self.who(claim.name)
        if claim.ordered or member is None or member["standing"] != "active":
            return None
        as_it_is = f"{member['presence']}, {member['reason']}"
        if await self._runs_elsewhere(claim.name, member):
            return Sign(f"{as_it_is}; it was not started from here")
        is_well_here = (await self._machine.look(claim.name)).is_well
        if is_well_here is False:
            return None
        if claim.tried_at is not None:
            return await self._watch(claim.name, Before(claim.tried_at, claim.tried_at, claim.tried_at, True))
        acts = member["presence"] in HEALTHY if is_well_here else await self._acts(member, claim.task)
        return Sign(as_it_is) if acts else None

    async def _acts(self, member: "MemberShown", task: str) -> bool:
        """Whether a member is healthy as far as the room can see.

        A member that died during declared work may still be shown as working, so that needs a call since the request.
        One that never called does nothing, even if nothing is expected of it.
        """
        if member["last_call"] is None:
            return False
        if member["presence"] != "working":
            return member["presence"] in HEALTHY
        shown = (await self._room.read_board(task=task))["task"]
        assert shown is not None, "a board of one task shows it"
        asked_at: str = shown["created_at"]
        called: str = member["last_call"] or ""
        return called > asked_at

    async def _is_back(self, member: "MemberShown", task: str) -> bool:
        return await self._acts(member, task) and await self._runs(member["name"])

    async def _restart(self, claim: Claim, member: "MemberShown", number: int) -> Sign | None:
        """Restart once; returns the sign of the member in the room, or None."""
        name = claim.name
        look = await self._machine.look(name)
        why = look.found if look.is_well is False else f"the room says {member['presence']}"
        limit = self._config.repairs
        count = f"{number} of {limit}" if number <= limit else f"{number}, which a person requested,"
        is_first = number == 1 and (look.found == NOT_STARTED or (look.is_well is None and member["last_call"] is None))
        claim.is_first_start = claim.is_first_start or is_first
        noted = f"{'Start' if is_first else 'Restart'} {count} of @{name}: {why}"
        reply = await self._room.update_task(task=claim.task, fence=claim.fence, status="working", note=noted)
        claim.receipt = reply["receipt"]
        words = f"@{name} was not started here yet, so it is started now" if is_first else noted
        self._tell("restarts", f"{words} ({claim.task}).", runtime=name, task=claim.task, number=number, why=why)
        await self._machine.end(name)
        known = before(await self.who(name) or member)
        did = await self._machine.start(name)
        sign = await self._watch(name, known)
        if sign is not None and not sign.acts and not is_first:
            sign = await self._ask_for_act(claim, number, sign)
        how = self._machine.has_ended(name)
        after = f"its process {how}" if how else f"no sign of it within {span(self._config.acts_within_of(name))}"
        claim.tried.append(f"{did}; {after if sign is None else sign.words}")
        return sign

    async def _ask_for_act(self, claim: Claim, number: int, sign: Sign) -> Sign | None:
        """Ask a restarted member for a word, and wait for its act; None if none comes.

        If nothing wakes it, or the watchdog may not ask now, what was seen has to do.
        """
        member = await self.who(claim.name)
        if member is None or not _is_woken(member):
            return sign
        known = before(member)
        text = f"You were restarted ({claim.task}). Answer with one word: only then is the repair done."
        request_id = f"restarted-{claim.task}-{claim.fence}-{number}"
        try:
            await self._room.post_message(
                request_id=request_id, text=text, to=[member["name"]], kind="ask", task=claim.task
            )
        except Failure as failure:
            if failure.body.get("code") not in NOT_ASKED:
                raise
            return sign
        return await self._watch(claim.name, known, must_act=True)

    async def _watch(self, name: str, known: Before, must_act: bool = False) -> Sign | None:
        """Wait for a sign of a member; returns None after the timeout, or if its process ended.

        `must_act`: it was asked something, and a poll that acknowledges the question is no answer.
        """
        give_up_at = time.monotonic() + self._config.acts_within_of(name)
        while True:
            member = await self.who(name)
            sign = None if member is None else known.sign(member)
            if sign is not None and (sign.acts or not must_act) and await self._runs(name):
                return sign
            if time.monotonic() >= give_up_at or self._machine.has_ended(name) is not None:
                return None
            if member is None or member["standing"] != "active":
                return None
            await anyio.sleep(PACE_SECONDS)

    async def _runs(self, name: str) -> bool:
        return (await self._machine.look(name)).is_well is not False

    # -------------------------------------------------------------- how a repair ends

    async def _complete(self, claim: Claim, sign: Sign) -> None:
        name = claim.name
        restarts = len(claim.tried) - claim.is_first_start
        evidence: list[Evidence] = [{"kind": "test", "ref": f"who {name}: {sign.words}"}]
        if claim.receipt is not None:
            evidence.append({"kind": "receipt", "ref": str(claim.receipt)})
        summary = f"@{name} {'acts' if sign.acts else 'is connected'} {_after(claim, restarts)}: {sign.words}."
        await self._room.complete_task(task=claim.task, fence=claim.fence, summary=summary, evidence=evidence)
        self._tell("repaired", f"{summary[:-1]} ({claim.task}).", runtime=name, task=claim.task, restarts=restarts)

    async def _stop(self, claim: Claim, member: "MemberShown | None") -> Outcome:
        """End a repair of a member that was paused or killed meanwhile."""
        standing = "not in the room" if member is None else member["standing"]
        if standing == "paused":
            name, held = f"@{claim.name}", {"task": claim.task, "fence": claim.fence}
            block: dict[str, Any] = {**held, "status": "blocked", "blocked_on": name, "note": f"{name} is paused"}
            await self._room.update_task(**block)
            return "again"
        summary = f"@{claim.name} is {standing}: there is nothing to repair."
        await self._room.complete_task(task=claim.task, fence=claim.fence, summary=summary, evidence=[])
        return "left"

    async def _leave_elsewhere(self, claim: Claim) -> Outcome:
        """End a repair of a runtime that was started elsewhere, as a restart here would run it twice."""
        name, summary = claim.name, f"{_from_elsewhere(claim.name)} Nothing was restarted."
        await self._room.complete_task(task=claim.task, fence=claim.fence, summary=summary, evidence=[])
        self._tell("left", f"{summary[:-1]} ({claim.task}).", runtime=name, task=claim.task)
        return "left"

    async def _give_up(self, claim: Claim, member: "MemberShown") -> Outcome:
        """Report the restarts to the member's owner once, and release the task."""
        name, within = claim.name, span(self._config.repairs_within)
        count = claim.recent(self._config.repairs_within)
        tried = "".join(f"\n{number}. {what}" for number, what in enumerate(claim.tried, 1))
        earlier = count - len(claim.tried)
        in_this = min(earlier, claim.tried_before)
        before_that = f"\nStarts earlier in this repair: {in_this}." if in_this else ""
        before_that += f"\nStarts in earlier repairs: {earlier - in_this}." if earlier > in_this else ""
        text = (
            f"The runtime of {name} was started {count} times within {within}, and {name} still does not act. The "
            f"watchdog will not start it again until it acts. Check it, then request a repair or start it yourself."
            f"{tried}{before_that}{self._where_output_is(name)}"
        )
        await self._notify_owner(claim, member["owner"], text)
        note = f"Gave up after {count} starts of @{name} within {within}; @{member['owner']} was notified."
        await self._room.update_task(task=claim.task, fence=claim.fence, status="released", note=note)
        facts = {"runtime": name, "task": claim.task, "restarts": count, "tried": claim.tried}
        self._tell("gave_up", f"{note[:-1]} ({claim.task}).", **facts)
        self._left.add(claim.task)
        return "given up"

    def _where_output_is(self, name: str) -> str:
        started_here = self._config.runtime[name].start is not None
        return f"\nIts output: {self._machine.log(name)}, on the watchdog's machine." if started_here else ""

    async def _notify_owner(self, claim: Claim, owner: str, text: str) -> None:
        for kind in LOUDEST_FIRST:
            request_id = f"given-up-{claim.task}-{claim.fence}-{kind}"
            try:
                await self._room.post_message(request_id=request_id, text=text, to=[owner], task=claim.task, kind=kind)
            except Failure as failure:
                if failure.body.get("code") == "conflict":  # an earlier run sent another text
                    return
                if failure.body.get("code") != "rate_limited":
                    raise
            else:
                return


def _is_woken(member: "MemberShown") -> bool:
    """Whether a listener wakes a member: it is there, or is to be there soon again."""
    return bool(member["listening"] or (member["mode"] == "live" and member["has_listened"]))


def _after(claim: Claim, restarts: int) -> str:
    """After which tries a member is well, in words."""
    times = f"{restarts} restart{'s' if restarts != 1 else ''}"
    if claim.is_first_start:
        return f"after its first start here and {times}" if restarts else "after its first start here"
    return f"again after {times}" if restarts else "again without another restart"


def _from_elsewhere(name: str) -> str:
    return f"@{name} runs, but was not started by this watchdog. End it there, and the watchdog starts it here."
