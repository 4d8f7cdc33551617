"""Decisions: a member asks people for one, bound to exactly its content, and a person decides once."""

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, Field

from teamroom.server.acts.act import (
    Act,
    Arguments,
    DecisionId,
    Line,
    Name,
    Read,
    Reply,
    Span,
    TaskId,
    Text,
    Words,
    always,
    author,
    from_now,
)
from teamroom.server.acts.decisions.settle import notice_before_end, record_answer, record_end
from teamroom.server.acts.tasks.hand_offs import ARTIFACTS, Artifact
from teamroom.server.facts.blocks import settle, settle_member
from teamroom.server.facts.decision import (
    PEOPLE,
    SHOWN,
    TEXT_SHOWN,
    DecisionShown,
    answer_of,
    asked_people,
    decision_changed,
    find_decision,
    require_open,
    show_decision,
)
from teamroom.server.facts.ended import find_person, is_ended, refuse_ended
from teamroom.server.facts.ids import decision_name
from teamroom.server.facts.member import Forecast, find_member, forecast
from teamroom.server.facts.owed import Slot, schedule_reminder, slots_of
from teamroom.server.facts.person import require_person
from teamroom.server.facts.roles import ROOM_OWNERS
from teamroom.server.facts.task import ROOM_MEMBER, add_entry, find_task, task_changed
from teamroom.server.facts.timers import DECISION_END, schedule
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.letters import DIGEST_CHARACTERS
from teamroom.server.rules.text import add_quote, cite
from teamroom.server.store.rows.decisions import DecisionRow
from teamroom.server.store.rows.members import MemberFacts, MemberName
from teamroom.server.store.transaction import Reading, Writing

OPTIONS = 6
"""How many options a decision has at most."""

OPEN_DECISIONS = 20
"""How many decisions one member may have open: each one waits for a person."""

LONGEST_SECONDS = 90 * 86_400.0
"""How long a decision may stay open."""


class RequestDecision(Arguments):
    """Arguments of `request_decision`. With `replaces` and without `question`, that decision is withdrawn."""

    question: Annotated[Line, Field(min_length=1)] | None = None
    options: Annotated[list[Annotated[Words, Field(min_length=1)]], Field(max_length=OPTIONS)] | None = None
    detail: Text | None = None
    to: Annotated[list[Name], Field(max_length=PEOPLE)] | None = None
    task: TaskId | None = None
    artifacts: Annotated[list[Artifact], Field(max_length=ARTIFACTS)] | None = None
    until: Span | None = None
    replaces: DecisionId | None = None


class Requested(Reply):
    """Reply of `request_decision`: when to expect each person. `withdrawn`: the call only withdrew a decision."""

    decision: str
    until: str | None = None
    digest: str = ""
    forecast: list[Forecast] = Field(default_factory=list)
    withdrawn: bool = False


class Decide(Arguments):
    """Arguments of `decide`. `digest`: how the digest begins of what the person has read, if the client knows it."""

    decision: DecisionId
    option: Annotated[Words, Field(min_length=1)]
    note: Text | None = None
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")] | None = None


class Decided(Reply):
    """Reply of `decide`."""

    decision: str
    answer: str
    by: str


class ReadDecisions(Arguments):
    """Arguments of the read of decisions: one of them, or all that are open."""

    decision: DecisionId | None = None


class Decisions(BaseModel):
    """Open decisions, or one in full with its newest reminders. `more`: how many open ones are not shown."""

    decisions: list[DecisionShown]
    more: int = 0
    reminders: list[Slot] = Field(default_factory=list)


def request_decision(tx: Writing, caller: Caller, arguments: RequestDecision) -> Requested:
    """Ask people for a decision. Nothing in it changes later; a changed question replaces it. Raises Refusal."""
    before = None if arguments.replaces is None else _replaceable(tx, caller, arguments.replaces)
    if arguments.question is None:
        return _withdraw(tx, caller, before)
    options = arguments.options or ["yes", "no"]
    _require_distinct(options)
    people = _people(tx, caller, arguments)
    task = None if arguments.task is None else find_task(tx, arguments.task)
    span = tx.settings.decision_seconds if arguments.until is None else from_now(tx, arguments.until) - tx.now
    if not 0 < span <= LONGEST_SECONDS:
        raise Refusal(
            "invalid",
            f"A decision is open for at most {LONGEST_SECONDS:.0f} s.",
            f"Call again with until {min(tx.settings.decision_seconds, LONGEST_SECONDS):.0f}.",
        )
    if before is None and tx.number("count_open_decisions", asker=caller.member) >= OPEN_DECISIONS:
        raise Refusal(
            "rate_limited",
            f"You wait for {OPEN_DECISIONS} decisions already, which is the limit.",
            "Withdraw one that you no longer need: request_decision with replaces and no question.",
        )
    number = tx.number("newest_decision") + 1
    name, expires_at = decision_name(number), tx.now + span
    content = {
        "asker": caller.name,
        "question": arguments.question,
        "options": options,
        "detail": arguments.detail or "",
        "to": sorted(person.name for person in people),
        "task": None if task is None else task.name,
        "artifacts": [artifact.model_dump() for artifact in arguments.artifacts or ()],
        "until": tx.shown(expires_at),
    }
    digest = digest_of(content)
    asked = " and ".join(f"@{person.name}" for person in people[:2]) + (" and others" if len(people) > 2 else "")
    instead = f" instead of {decision_name(before.id)}" if before is not None else ""
    seq = log.append(
        tx,
        author(caller),
        act="request_decision",
        subject=name,
        summary=add_quote(f"@{caller.name} asks {asked} to decide {name}{instead}", arguments.question),
        detail={**content, "digest": digest, "replaces": None if before is None else decision_name(before.id)},
    )
    tx.run(
        "add_decision",
        id=number,
        asker=caller.member,
        task=None if task is None else task.id,
        question=arguments.question,
        detail=arguments.detail or "",
        options=json.dumps(options, ensure_ascii=False),
        artifacts=json.dumps(content["artifacts"], ensure_ascii=False),
        digest=digest,
        now=tx.now,
        expires_at=expires_at,
        replaces=None if before is None else before.id,
    )
    for person in people:
        tx.run("add_asked", decision=number, member=person.id)
    schedule(tx, DECISION_END, number, ROOM_MEMBER, span, at=notice_before_end(tx.now, expires_at))
    decision_changed(tx, find_decision(tx, number))
    if task is not None:
        add_entry(tx, task.id, caller, "decision_asked", arguments.question, {"decision": name})
    if before is not None:
        _replace(tx, caller, before, number, [person.id for person in people], seq)
    line = add_quote(f"{name}{instead} waits for your decision", f"{arguments.question} ({' / '.join(options)})")
    others = [person for person in people if person.id != caller.member]
    for person in others:
        schedule_reminder(tx, "decision", number, person.id, person.mode)
    woken = [person.id for person in others]
    wake_members(tx, woken, reason="decision", subject=name, sender=caller.member, line=line)
    return Requested(
        receipt=seq,
        decision=name,
        until=tx.shown(expires_at),
        digest=digest,
        forecast=[forecast(tx, person) for person in people],
    )


def digest_of(content: dict[str, Any]) -> str:
    """The digest that binds a decision to all that it says."""
    return hashlib.sha256(log.canonical(content).encode()).hexdigest()


def decide(tx: Writing, caller: Caller, arguments: Decide) -> Decided:
    """Decide, as a person who was asked or who owns the room. The first answer counts. Raises Refusal."""
    row, name = find_decision(tx, arguments.decision), decision_name(arguments.decision)
    people = asked_people(tx, row.id)
    require_person(
        caller,
        f"Only a person decides, and you are an agent; no message counts as an answer to {name}.",
        f"Wait for {_whom(people)}: wait_for_wake returns the answer to whoever asked.",
        name,
    )
    if caller.role != "owner" and caller.member not in [person.member for person in people]:
        raise Refusal(
            "not_allowed",
            f"{name} asks {_whom(people)}, not you.",
            f"Tell {_whom(people)} what you think: post_message.",
            subject=name,
        )
    options = json.loads(row.options)
    choice = _choose(options, arguments.option)
    if row.state == "decided" and row.decided_by == caller.member and choice == row.choice:
        return Decided(
            replayed=tx.shown(row.settled_at or tx.now), decision=name, answer=answer_of(row) or "", by=caller.name
        )
    require_open(tx, row, f"Read it: teamroom decide {name}")
    if choice is None:
        raise Refusal(
            "invalid",
            f"{cite(arguments.option)} is no option of {name}.",
            f"Call again with one of: {', '.join(map(cite, options))}.",
            subject=name,
            options=options,
        )
    if arguments.digest is not None and not row.digest.startswith(arguments.digest):
        raise Refusal(
            "conflict",
            f"{name} says something else than what the digest {arguments.digest[:DIGEST_CHARACTERS]} stands for.",
            f"Read it, then decide again: teamroom decide {name}",
            subject=name,
        )
    seq = record_answer(tx, caller, row, choice, arguments.note or "")
    settle_member(tx, caller, row.task)
    if row.task is not None:
        add_entry(tx, row.task, caller, "decided", options[choice - 1], {"decision": name})
    return Decided(receipt=seq, decision=name, answer=options[choice - 1], by=caller.name)


def read_decisions(tx: Reading, caller: Caller, arguments: ReadDecisions) -> Decisions:
    """One decision in full, or all open ones, those that expire first. Raises Refusal `not_found`."""
    if arguments.decision is not None:
        shown = show_decision(tx, find_decision(tx, arguments.decision))
        return Decisions(decisions=[shown], reminders=slots_of(tx, "decision", arguments.decision))
    ids = tx.column(int, "open_decisions", now=tx.now, limit=SHOWN)
    listed = [show_decision(tx, find_decision(tx, id_), TEXT_SHOWN) for id_ in ids]
    return Decisions(decisions=listed, more=tx.number("count_all_open_decisions", now=tx.now) - len(listed))


def read_before_deciding(tx: Reading, caller: Caller, arguments: Decide) -> DecisionShown:
    """The decision that a person is about to make."""
    return show_decision(tx, find_decision(tx, arguments.decision))


# ------------------------------------------------------------------ who is asked


def _people(tx: Reading, caller: Caller, arguments: RequestDecision) -> list[MemberFacts]:
    """The people to ask: those named, else the asker's owner, or who acts for it. Raises Refusal."""
    if arguments.to:
        named = {row.id: row for row in (find_member(tx, name) for name in arguments.to)}
        for row in named.values():
            _require_person(tx, caller, row)
        return list(named.values())
    owner = tx.only(MemberFacts, "member_facts", name=caller.owner_name)
    if caller.kind == "human":
        raise Refusal("invalid", "You are a person, so nobody answers for you.", "Name the people to ask: to [NAME].")
    if not is_ended(tx, owner):
        return [owner]
    person: MemberName | None = find_person(tx, caller.member)
    if person is None:
        raise Refusal(
            "conflict",
            f"@{owner.name} can no longer act, and no owner of the room can either.",
            "Name another person: to [NAME]. who lists the members.",
        )
    return [tx.only(MemberFacts, "member_facts", name=person.name)]


def _require_person(tx: Reading, caller: Caller, row: MemberFacts) -> None:
    if row.kind != "human":
        owner = tx.only(MemberName, "member_by_id", id=row.owner).name
        raise Refusal(
            "not_allowed",
            f"@{row.name} is not a person, and only a person decides.",
            f"Call again with to {json.dumps([owner])}, its owner, or without to for your own.",
            subject=f"@{row.name}",
        )
    refuse_ended(tx, row, "Ask", "leave to out", f"@{row.name}", caller.member)


def _whom(people: Any) -> str:
    return " or ".join(f"@{person.name}" for person in people) or "a room owner"


# ------------------------------------------------------------------ options


def _require_distinct(options: list[str]) -> None:
    if len(options) < 2 or len({option.casefold() for option in options}) < len(options):
        raise Refusal(
            "invalid",
            "A decision is between options that differ.",
            f"Give 2 to {OPTIONS} options that differ, or none for yes and no.",
        )


def _choose(options: list[str], given: str) -> int | None:
    """The number of the option that a person named, from 1, by its text or its number; None if there is none."""
    folded = [option.casefold() for option in options]
    if given.casefold() in folded:
        return folded.index(given.casefold()) + 1
    number = int(given) if given.isascii() and given.isdigit() and len(given) == 1 else 0
    return number if 0 < number <= len(options) else None


# ------------------------------------------------------------------ replaced and withdrawn


def _replaceable(tx: Reading, caller: Caller, number: int) -> DecisionRow:
    """An open decision that the caller may replace or withdraw: its own, or as owner of the asker or the room."""
    row = find_decision(tx, number)
    owner = tx.only(MemberName, "member_by_id", id=row.asker).owner
    if caller.member not in (row.asker, owner) and not caller.is_operator:
        raise Refusal(
            "not_allowed",
            f"@{row.asker_name} asked for {decision_name(number)}, not you.",
            "Leave replaces out to ask for a decision of your own.",
            subject=decision_name(number),
        )
    require_open(tx, row, "Leave replaces out: it is settled already.")
    return row


def _replace(tx: Writing, caller: Caller, row: DecisionRow, by: int, people: list[int], seq: int) -> None:
    """Replace a decision, and tell those people who are no longer asked."""
    record_end(tx, row, "replaced", seq, replaced_by=by)
    for task in tx.column(int, "blocked_on", blocked_on=decision_name(row.id), limit=OPEN_DECISIONS):
        task_changed(tx, task)
    tx.run("move_blocks", was=decision_name(row.id), now=decision_name(by))
    others = [person.member for person in asked_people(tx, row.id) if person.member not in people]
    line = f"{decision_name(row.id)} was replaced by {decision_name(by)}, which does not ask you"
    subject = decision_name(row.id)
    wake_members(tx, others, reason="control", subject=subject, sender=caller.member, line=line)


def _withdraw(tx: Writing, caller: Caller, row: DecisionRow | None) -> Requested:
    if row is None:
        raise Refusal(
            "invalid",
            "The question is missing.",
            'Call again with it: request_decision question "…" options ["yes", "no"].',
        )
    name = decision_name(row.id)
    line = add_quote(f"@{caller.name} withdrew {name}", row.question)
    seq = log.append(
        tx,
        author(caller),
        act="request_decision",
        subject=name,
        summary=line,
        detail={"withdrawn": True, "digest": row.digest},
    )
    record_end(tx, row, "withdrawn", seq)
    told = [person.member for person in asked_people(tx, row.id) if person.member != caller.member]
    wake_members(tx, told, reason="control", subject=name, sender=caller.member, line=line)
    settle(tx, "decision", row.id, name)
    return Requested(receipt=seq, decision=name, withdrawn=True)


REQUEST_DECISION = Act("request_decision", RequestDecision, Requested, request_decision, repeats=True)
DECIDE = Act("decide", Decide, Decided, decide, shown_to_agents=ROOM_OWNERS)
READ_DECISIONS = Read("decisions", ReadDecisions, read_decisions, is_small=always)
READ_BEFORE_DECIDING = Read("decide", Decide, read_before_deciding, is_small=always)
"""What a client shows its person before it decides. The same arguments, so that the question is about exactly this."""
