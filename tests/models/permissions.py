"""Who is an owner, whose tokens live, and who is accountable for whom: after every act, on every path (ID3, CTL7).

The oracle does an act on a copy of its own books and then looks through all of them, while the room looks at what the
act changed. Both must come to the same answer: done, or refused with everything as it was.
"""

import contextlib
import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from teamroom.server.acts.control.control import KILL, PAUSE, RESUME
from teamroom.server.acts.members.members import ENROLL, REVOKE
from teamroom.server.identity import Caller
from teamroom.server.store import invariants
from tests.models.world import Model, Plan, code


@dataclass
class Member:
    """A member in the oracle's books. `agents`: the switch of the agents of a person."""

    kind: str
    role: str
    owner: str
    switch: "Switch" = field(default_factory=lambda: Switch())
    agents: "Switch" = field(default_factory=lambda: Switch())


@dataclass
class Switch:
    """What stands: a state, until when, and the role that set it."""

    state: str = "active"
    until: float | None = None
    by_role: str = "room"

    def at(self, now: float) -> str:
        is_over = self.state == "paused" and self.until is not None and self.until <= now
        return "active" if is_over else self.state


@dataclass
class Token:
    """A token in the oracle's books."""

    member: str
    label: str
    expires: float | None = None
    is_chat: bool = False
    issuer: str | None = None
    is_revoked: bool = False

    def lives(self, now: float) -> bool:
        return not self.is_revoked and (self.expires is None or self.expires > now)


@dataclass
class Books:
    """All that the promises speak of."""

    members: dict[str, Member]
    tokens: dict[str, Token]

    def live(self, member: str, now: float) -> dict[str, Token]:
        return {id_: token for id_, token in self.tokens.items() if token.member == member and token.lives(now)}

    def broken(self, before: "Books", token: str, now: float, is_kill: bool) -> str | None:
        """Which promise an act with a token broke, if any."""
        for name, member in self.members.items():
            if before.members[name].owner != member.owner and self.members[member.owner].switch.state == "killed":
                return f"@{name} went to a killed person"
        if (wrong := self.wrong(now)) is not None:
            return wrong
        me = before.members[before.tokens[token].member]
        for id_, was in before.tokens.items():
            was_revoked = self.tokens[id_].is_revoked and not was.is_revoked and not is_kill
            if was_revoked and not before.may_revoke(before.tokens[token].member, me, was):
                return f"@{before.tokens[token].member} revoked a token of @{was.member}"
        mine = before.tokens[token]
        for id_, new in self.tokens.items():
            if id_ not in before.tokens and mine.expires is not None:
                is_bound = new.member == mine.member or self.members[new.member].kind == "human"
                if is_bound and (new.expires is None or new.expires > mine.expires):
                    return "a token outlives the one that issued it"
        return None

    def wrong(self, now: float) -> str | None:
        """What must never be true, no matter who caused it."""
        for name, member in self.members.items():
            if member.kind == "agent" and (member.role == "owner" or self.members[member.owner].kind != "human"):
                return f"@{name} is an agent and an owner, or has one that is no person"
            is_killed = member.kind == "human" and member.switch.state == "killed"
            if is_killed and (member.agents.state, member.agents.until) != ("paused", None):
                return f"the agents of @{name}, who was killed, are not paused"
        if not any(self.owns_and_acts(name, now) for name in self.members):
            return "nobody owns the room and can act"
        return None

    def owns_and_acts(self, name: str, now: float) -> bool:
        """Whether a member is a person that owns the room, acts, and has a token that stays."""
        member = self.members[name]
        lasting = [t for t in self.live(name, now).values() if t.expires is None and not t.is_chat]
        return (member.kind, member.role, member.switch.at(now)) == ("human", "owner", "active") and bool(lasting)

    def may_revoke(self, name: str, me: Member, token: Token) -> bool:
        holder = self.members[token.member]
        if me.role == "owner" or token.member == name:
            return True
        if holder.kind == "human" or holder.role == "watchdog":
            return False
        issued = token.issuer is not None and self.tokens[token.issuer].member == name
        return issued or (me.kind == "human" and holder.owner == name)


PEOPLE: dict[str, Member] = {
    "olga": Member("human", "owner", "olga"),
    "hanna": Member("human", "member", "hanna"),
    "pia": Member("human", "operator", "pia"),
    "op": Member("agent", "operator", "olga"),
    "dog": Member("agent", "watchdog", "pia"),
    "mine": Member("agent", "member", "pia"),
}

names = st.sampled_from(list(PEOPLE))
targets = names | st.sampled_from(["owner:pia", "owner:hanna"])
labels = st.sampled_from(["default", "default", "second", "Chat"])
spans = st.sampled_from([None, None, 100, 1000])
roles = st.sampled_from([None, None, None, "owner", "owner", "member", "operator", "watchdog"])
picks = st.integers(0, 59)


class Permissions(Model):
    """An act is done exactly if its caller may do it and every promise holds afterwards."""

    PLAN = Plan(
        {
            name: {"kind": p.kind, "role": p.role, **({} if p.kind == "human" else {"owner": p.owner})}
            for name, p in PEOPLE.items()
            if name != "olga"
        }
    )

    def __init__(self) -> None:
        super().__init__()
        first = self.world.callers["olga"].token_id
        self.backup: Path | None = None
        self.callers: dict[str, Caller] = {caller.token_id: caller for caller in self.world.callers.values()}
        self.books = Books(
            copy.deepcopy(PEOPLE),
            {
                caller.token_id: Token(name, "default", issuer=None if name == "olga" else first)
                for name, caller in self.world.callers.items()
            },
        )

    # ------------------------------------------------------------------ acts

    @rule(pick=picks, whom=names, label=labels, seconds=spans, role=roles, rotate=st.booleans(), chat=st.booleans())
    def issue(
        self, pick: int, whom: str, label: str, seconds: int | None, role: str | None, rotate: bool, chat: bool
    ) -> None:
        books, token = self.begin(pick)
        me, member, now = books.tokens[token].member, books.members[whom], self.world.now
        replaced = [t for t in books.live(whom, now).values() if t.label == label]
        may = self.may_enroll(token, whom) and member.switch.state != "killed" and (rotate or not replaced)
        for either in (member.role, role) if role not in (None, member.role) else ():
            may = may and self.may_give(books, me, member, either)
        given: dict[str, Any] = {"name": whom, "label": label, "role": role, "rotate": rotate, "chat": chat}
        reply = self.world.act("", ENROLL, self.callers[token], **given, expires_seconds=seconds)
        for old in replaced:
            old.is_revoked = True
        member.role = role or member.role
        is_chat = chat or label == "Chat" or any(t.is_chat for t in replaced)
        self.end(books, token, may, reply, Token(whom, label, _end(now, seconds), is_chat, token))

    @rule(pick=picks, whom=names)
    def revive(self, pick: int, whom: str) -> None:
        books, token = self.begin(pick)
        member = books.members[whom]
        may = self.may_enroll(token, whom) and member.switch.state == "killed"
        reply = self.world.act("", ENROLL, self.callers[token], name=whom, revive=True)
        member.switch = Switch("active", None, books.members[books.tokens[token].member].role)
        self.end(books, token, may, reply, Token(whom, "default", None, False, token))

    @rule(pick=picks, whom=st.sampled_from(["mine", "dog"]), to=names)
    def name_who_is_accountable(self, pick: int, whom: str, to: str) -> None:
        books, token = self.begin(pick)
        member, me = books.members[whom], books.tokens[token].member
        is_same = to == member.owner
        owner_killed = books.members[member.owner].switch.state == "killed"
        may = self.may_enroll(token, whom) and member.switch.state != "killed" and (is_same or owner_killed)
        may = may and (is_same or books.members[to].kind == "human")
        may = may and (is_same or books.members[me].role == "owner" or to == me)
        reply = self.world.act("", ENROLL, self.callers[token], name=whom, owner=to, label="default", rotate=True)
        replaced = [t for t in books.live(whom, self.world.now).values() if t.label == "default"]
        for old in replaced:
            old.is_revoked = True
        member.owner = to
        is_chat = any(t.is_chat for t in replaced)
        self.end(books, token, may, reply, Token(whom, "default", None, is_chat, token))

    @rule(pick=picks, whom=names, label=st.none() | labels, issued=st.booleans())
    def revoke(self, pick: int, whom: str, label: str | None, issued: bool) -> None:
        books, token = self.begin(pick)
        named = {i for i, t in books.tokens.items() if t.member == whom and label in (None, t.label)}
        found = set(named)
        while issued and (more := {i for i, t in books.tokens.items() if t.issuer in found} - found):
            found |= more
        going = {i for i in found if books.tokens[i].lives(self.world.now)}
        me = books.members[books.tokens[token].member]
        may = me.role in ("owner", "operator") and bool(going) and token not in going
        reply = self.world.act("", REVOKE, self.callers[token], name=whom, label=label, issued=issued)
        for id_ in going:
            books.tokens[id_].is_revoked = True
        self.end(books, token, may, reply)

    @rule(pick=picks, whom=targets, seconds=spans)
    def pause(self, pick: int, whom: str, seconds: int | None) -> None:
        books, token = self.begin(pick)
        me, switch = books.members[books.tokens[token].member], self.switch(books, whom)
        may = self.rules_over(books, token, whom) or me.role in ("operator", "watchdog")
        reply = self.world.act("", PAUSE, self.callers[token], target=whom, reason="a test", for_seconds=seconds)
        may = may and switch.state != "killed"
        may_lift, until = self.may_lift(books, token, whom), _end(self.world.now, seconds)
        held, new = (math.inf if end is None else end for end in (switch.until, until))
        if switch.at(self.world.now) != "paused" or (may_lift and new >= held):
            switch.state, switch.until, switch.by_role = "paused", until, me.role
        elif new > held:
            switch.until = until
        self.end(books, token, may, reply)

    @rule(pick=picks, whom=targets)
    def resume(self, pick: int, whom: str) -> None:
        books, token = self.begin(pick)
        name, switch = books.tokens[token].member, self.switch(books, whom)
        me = books.members[name]
        may = whom != name and (self.rules_over(books, token, whom) or me.role == "operator")
        may = may and switch.state != "killed"
        reply = self.world.act("", RESUME, self.callers[token], target=whom, reason="a test")
        if switch.at(self.world.now) == "paused":
            may = may and self.may_lift(books, token, whom)
            switch.state, switch.until, switch.by_role = "active", None, me.role
        self.end(books, token, may, reply)

    @rule(pick=picks, whom=st.sampled_from(["hanna", "pia"]))
    def kill_a_person_and_resume_its_agents(self, pick: int, whom: str) -> None:
        self.kill(pick=pick, whom=whom)
        self.resume(pick=pick, whom=f"owner:{whom}")

    @rule(pick=picks, whom=names)
    def kill(self, pick: int, whom: str) -> None:
        books, token = self.begin(pick)
        member, me = books.members[whom], books.members[books.tokens[token].member]
        may = self.rules_over(books, token, whom)
        reply = self.world.act("", KILL, self.callers[token], target=whom, reason="a test")
        if member.switch.state != "killed":
            member.switch = Switch("killed", None, me.role)
            for old in books.tokens.values():
                old.is_revoked = old.is_revoked or old.member == whom
            if member.kind == "human" and (member.agents.state, member.agents.until) != ("paused", None):
                member.agents = Switch("paused", None, "owner")
        self.end(books, token, may, reply, is_kill=True)

    @rule(seconds=st.sampled_from([1, 99, 100, 1000]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @rule()
    def back_up(self) -> None:
        self.backup = self.world.back_up()

    @rule()
    def restore(self) -> None:
        """An earlier room takes this one's place: nothing that ended since lives again, and somebody can act in it."""
        if self.backup is None:
            return
        old, now = self.books, self.world.now
        token = self.world.restore(self.backup)
        self.books, self.backup = self.read_books(), None
        for name, member in old.members.items():
            if (restored := self.books.members.get(name)) is not None:
                for was, stands in ((member.switch, restored.switch), (member.agents, restored.agents)):
                    order = ("active", "paused", "killed")
                    assert order.index(stands.at(now)) >= order.index(was.at(now)), f"{name} goes on"
        ended = {i for i, was in old.tokens.items() if was.is_revoked}
        assert not any(i in ended and not t.is_revoked for i, t in self.books.tokens.items()), "a token lives again"
        if token is not None:
            caller = self.world.identify(token)
            self.callers[caller.token_id] = caller
        assert self.books.wrong(self.world.now) is None

    def read_books(self) -> Books:
        """The books as the database has them, which a restore changed in more ways than the oracle follows."""
        members: dict[str, Member] = {}
        for id_, name, kind, role, owner in self.world.look(
            "select m.id, m.name, m.kind, m.role, o.name from member as m join member as o on o.id = m.owner"
        ):
            if kind != "room":
                own, agents = (
                    [Switch(*row) for row in self.world.look(_SWITCH.format(scope, id_))] or [Switch()]
                    for scope in ("member", "owner")
                )
                members[name] = Member(kind, role, owner, own[0], agents[0])
        tokens = {
            id_: Token(member, label, expires, kind == "chat", issuer, revoked is not None)
            for id_, member, label, expires, kind, issuer, revoked in self.world.look(
                "select t.id, m.name, t.label, t.expires_at, t.kind, t.issued_by, t.revoked_at "
                "from token as t join member as m on m.id = t.member"
            )
        }
        return Books(members, tokens)

    # ------------------------------------------------------------------ the oracle

    def begin(self, pick: int) -> tuple[Books, str]:
        """A copy of the books for an act, and the token that it is called with: mostly one that lives."""
        books, now = self.books, self.world.now
        owners = [i for i, token in books.tokens.items() if token.lives(now) and self.role(i) == "owner"]
        living = [i for i, token in books.tokens.items() if token.lives(now)]
        ending = [i for i in living if books.tokens[i].expires is not None]
        tokens = (owners, owners, ending, living, list(books.tokens))[pick % 5] or living
        known = [token for token in tokens if token in self.callers] or [i for i in living if i in self.callers]
        return copy.deepcopy(books), known[pick // 5 % len(known)]

    def end(
        self, books: Books, token: str, may: bool, reply: Any, new: Token | None = None, is_kill: bool = False
    ) -> None:
        """The act was answered: it must have been done or refused as the books say."""
        if new is not None:
            books.tokens["new"] = new
        broken = books.broken(self.books, token, self.world.now, is_kill)
        should = self.can_act(token) and may and broken is None
        assert (code(reply) == "ok") == should, (reply, self.can_act(token), may, broken)
        if not should:
            return
        if new is not None:
            caller = self.world.identify(reply.token) if self.lives(books, new) else None
            books.tokens[reply.token_id] = books.tokens.pop("new")
            assert reply.chat == new.is_chat
            self.callers[reply.token_id] = caller or self.callers[token]
        self.books = books

    def lives(self, books: Books, token: Token) -> bool:
        return books.members[token.member].switch.state != "killed" and token.lives(self.world.now)

    def can_act(self, token: str) -> bool:
        held = self.books.tokens[token]
        member, now = self.books.members[held.member], self.world.now
        is_bound = member.kind == "agent" and self.books.members[member.owner].agents.at(now) != "active"
        return held.lives(now) and member.switch.at(now) == "active" and not is_bound

    def role(self, token: str) -> str:
        return self.books.members[self.books.tokens[token].member].role

    def may_enroll(self, token: str, whom: str) -> bool:
        name = self.books.tokens[token].member
        role = self.books.members[name].role
        return role == "owner" or (role == "operator" and self.books.members[whom].owner == name)

    def may_give(self, books: Books, me: str, member: Member, role: str | None) -> bool:
        """Whether a caller may give a member a role, or take it away."""
        caller = self.books.members[me]
        is_plain = member.kind == "agent" and role in ("member", "observer")
        return caller.role == "owner" or (caller.kind == "human" and is_plain)

    def switch(self, books: Books, whom: str) -> Switch:
        owner = whom.removeprefix("owner:")
        return books.members[owner].agents if owner != whom else books.members[whom].switch

    def owner_of(self, books: Books, whom: str) -> str:
        return whom.removeprefix("owner:") if ":" in whom else books.members[whom].owner

    def rules_over(self, books: Books, token: str, whom: str) -> bool:
        name = self.books.tokens[token].member
        me = self.books.members[name]
        return me.role == "owner" or (me.kind == "human" and self.owner_of(books, whom) == name and whom != name)

    def may_lift(self, books: Books, token: str, whom: str) -> bool:
        name = self.books.tokens[token].member
        me, by = self.books.members[name], self.switch(books, whom).by_role
        if me.role == "owner" or (me.kind == "human" and self.owner_of(books, whom) == name):
            return me.role == "owner" or by != "owner"
        return me.role == "operator" and by == "operator"

    @invariant()
    def the_database_holds_what_the_books_hold(self) -> None:
        live = {row[0] for row in self.world.look("select id from token where revoked_at is null")}
        assert live == {i for i, token in self.books.tokens.items() if not token.is_revoked}
        rows = self.world.look("select m.name, m.role, o.name from member as m join member as o on o.id = m.owner")
        found = {name: (role, owner) for name, role, owner in rows if name != "room"}
        assert found == {name: (m.role, m.owner) for name, m in self.books.members.items()}


_SWITCH = "select state, until, by_role from standing where scope = '{}' and target = {}"


def _end(now: float, seconds: int | None) -> float | None:
    return None if seconds is None else now + seconds


@contextlib.contextmanager
def without(check: str) -> Iterator[None]:
    """A room that leaves one of its checks out."""
    whole, table = getattr(invariants, check), dict(invariants.CHECKS)
    setattr(invariants, check, lambda *_: None)
    for name, found in table.items():
        if found is whole:
            invariants.CHECKS[name] = lambda *_: None
    try:
        yield
    finally:
        setattr(invariants, check, whole)
        invariants.CHECKS.update(table)


LEFT_OUT = ("check_member", "check_expiry", "check_revocation", "check_standing")
"""The checks of which further twins leave one out; `TWIN` leaves out a part of the other one."""


@contextlib.contextmanager
def only_some_paths() -> Iterator[None]:
    """The twin: whether an owner is left is looked at when one is stopped, and not when a role or a token changes."""
    whole = invariants.find_weakened_owner

    def only_stops(tx: Any, change: Any) -> str | None:
        return whole(tx, change) if change.table == "standing" else None

    invariants.find_weakened_owner = only_stops
    try:
        yield
    finally:
        invariants.find_weakened_owner = whole


TWIN = only_some_paths
