"""Who may act: standing at three levels, who may set it, when it ends, and that nothing of it is remembered wrongly."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from teamroom.server.acts.control.control import KILL, PAUSE, RESUME
from teamroom.server.acts.members.members import ENROLL
from teamroom.server.acts.presence.me import READ_INBOX
from teamroom.server.acts.presence.presence import CHECK_IN
from teamroom.server.door import admission
from tests.models.world import Model, Plan, code


@dataclass(frozen=True)
class Person:
    """A member as CTL7 sees it."""

    owner: str
    role: str
    human: bool = False


PEOPLE = {
    "olga": Person("olga", "owner", human=True),
    "hanna": Person("hanna", "member", human=True),
    "bert": Person("olga", "member"),
    "dog": Person("olga", "watchdog"),
    "op": Person("olga", "operator"),
    "mine": Person("hanna", "member"),
}
TARGETS = [*PEOPLE, "owner:olga", "owner:hanna", "room"]

names = st.sampled_from(list(PEOPLE))
targets = st.sampled_from(TARGETS)
spans = st.none() | st.sampled_from([1, 60, 3600])


@dataclass
class Switch:
    """What stands at one level: since when nobody asks, until when, and which layer set it."""

    state: str = "active"
    until: float | None = None
    layer: str = ""


class Standing(Model):
    """An agent acts if it, its owner's agents and the room are all active; people if they are."""

    PLAN = Plan(
        {
            name: {
                "kind": "human" if p.human else "agent",
                "role": p.role,
                **({} if p.human else {"owner": p.owner}),
            }
            for name, p in PEOPLE.items()
            if name != "olga"
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self.switches = {target: Switch() for target in TARGETS}
        self.dead: list[Any] = []

    def state(self, target: str) -> str:
        switch = self.switches[target]
        over = switch.state == "paused" and switch.until is not None and switch.until <= self.world.now
        return "active" if over else switch.state

    def standing(self, name: str) -> str:
        person = PEOPLE[name]
        binding = [name] if person.human else [name, f"owner:{person.owner}", "room"]
        states = [self.state(target) for target in binding]
        return next((worst for worst in ("killed", "paused") if worst in states), "active")

    def allowed(self, name: str) -> str:
        """What becomes of an act of a member's."""
        return {"active": "ok", "paused": "paused", "killed": "killed"}[self.standing(name)]

    def owner_of(self, target: str) -> str | None:
        if target == "room":
            return None
        return target.removeprefix("owner:") if ":" in target else PEOPLE[target].owner

    def rules_over(self, caller: str, target: str) -> bool:
        """A human rules over its own members and agents, and the room's owner over all."""
        person = PEOPLE[caller]
        return person.role == "owner" or (person.human and self.owner_of(target) == caller and caller != target)

    def may_lift(self, caller: str, target: str) -> bool:
        layer = self.switches[target].layer
        if PEOPLE[caller].role == "owner":
            return True
        if self.rules_over(caller, target) and layer != "owner":
            return True
        return PEOPLE[caller].role == "operator" and layer == "operator"

    def ends_what_stays(self, target: str) -> bool:
        """The agents of a killed person stay paused, until another person is accountable for them."""
        return target.startswith("owner:") and self.state(target.removeprefix("owner:")) == "killed"

    def set(self, target: str, caller: str, state: str, until: float | None = None) -> None:
        self.switches[target] = Switch(state, until, PEOPLE[caller].role)

    def set_pause(self, target: str, caller: str, until: float | None) -> None:
        """A pause in effect is only replaced by one that ends no earlier, and keeps who may lift it."""
        switch = self.switches[target]
        if self.state(target) == "active":
            self.set(target, caller, "paused", until)
            return
        held, new = (math.inf if end is None else end for end in (switch.until, until))
        if self.may_lift(caller, target) and new >= held:
            self.set(target, caller, "paused", until)
        elif new > held:
            self.switches[target] = Switch("paused", until, switch.layer)

    @rule(caller=names, whom=targets, seconds=spans)
    def pause(self, caller: str, whom: str, seconds: int | None) -> None:
        allowed = self.allowed(caller)
        found = code(self.world.act(caller, PAUSE, target=whom, reason="a test", for_seconds=seconds))
        if allowed != "ok":
            assert found == allowed
        elif not (self.rules_over(caller, whom) or PEOPLE[caller].role in ("operator", "watchdog")):
            assert found == "not_allowed"
        elif whom == "olga":
            assert found == "not_allowed", "the last room owner was paused"
        elif self.state(whom) == "killed":
            assert found == "conflict"
        else:
            assert found == "ok"
            self.set_pause(whom, caller, None if seconds is None else self.world.now + seconds)

    @rule(caller=names, whom=targets)
    def resume(self, caller: str, whom: str) -> None:
        allowed = self.allowed(caller)
        found = code(self.world.act(caller, RESUME, target=whom, reason="a test"))
        if allowed != "ok":
            assert found == allowed
        elif caller == whom or not (self.rules_over(caller, whom) or PEOPLE[caller].role == "operator"):
            assert found == "not_allowed"
        elif self.state(whom) == "killed":
            assert found == "conflict"
        elif self.ends_what_stays(whom):
            assert found == "not_allowed", "the agents of a killed person were let go on"
        elif self.state(whom) == "active" or self.may_lift(caller, whom):
            assert found == "ok"
            if self.state(whom) == "paused":
                self.set(whom, caller, "active")
        else:
            assert found == "not_allowed"

    @rule(caller=names, whom=names)
    def kill(self, caller: str, whom: str) -> None:
        allowed = self.allowed(caller)
        found = code(self.world.act(caller, KILL, target=whom, reason="a test"))
        if allowed != "ok":
            assert found == allowed
        elif not self.rules_over(caller, whom) or whom == "olga":
            assert found == "not_allowed"
        else:
            assert found == "ok"
            if self.state(whom) != "killed":
                self.set(whom, caller, "killed")
                agents = self.switches.get(f"owner:{whom}") if PEOPLE[whom].human else None
                if agents is not None and (agents.state, agents.until) != ("paused", None):
                    self.set(f"owner:{whom}", "olga", "paused")

    @rule(whom=names)
    def revive(self, whom: str) -> None:
        reply = self.world.act("olga", ENROLL, name=whom, revive=True)
        if self.state(whom) != "killed":
            assert code(reply) == "conflict"
            return
        self.dead.append(self.world.callers[whom])
        self.world.callers[whom] = self.world.identify(reply.token)
        self.set(whom, "olga", "active")

    @rule(seconds=st.sampled_from([1, 59, 60, 3599, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @invariant()
    def everybody_acts_and_reads_as_it_stands(self) -> None:
        for name in PEOPLE:
            assert code(self.world.act(name, CHECK_IN)) == self.allowed(name), name
            assert code(self.world.read(name, READ_INBOX)) == self.allowed(name), name

    @invariant()
    def no_dead_token_comes_back_to_life(self) -> None:
        for caller in self.dead:
            assert code(self.world.act("", CHECK_IN, caller)) in ("not_allowed", "killed")


@contextlib.contextmanager
def standing_kept_beside_the_store() -> Iterator[None]:
    """The twin: who calls is looked up once and remembered for a few calls."""
    found: dict[int, list[Any]] = {}
    look_up = admission.find_principal

    def remembered(tx: Any, caller: Any) -> Any:
        kept = found.setdefault(id(caller), [caller, None, 0])
        if kept[2] % 3 == 0:
            kept[1] = look_up(tx, caller)
        kept[2] += 1
        return kept[1]

    admission.find_principal = remembered
    try:
        yield
    finally:
        admission.find_principal = look_up


TWIN = standing_kept_beside_the_store
