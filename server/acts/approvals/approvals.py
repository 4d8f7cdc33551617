"""Calls of agents' own tools that match a rule: each passes once, after a person allowed exactly it, and never before.

The gate of the harness asks for each call, in one transaction. This act has no tool.
"""

import json
from typing import Annotated

from pydantic import ConfigDict, Field

from teamroom.server.acts.act import Act, Arguments, Reply, author
from teamroom.server.acts.decisions.decisions import RequestDecision, request_decision
from teamroom.server.acts.tasks.hand_offs import Artifact
from teamroom.server.facts.approval import compared, rules_of
from teamroom.server.facts.authorization import count_uses, find_entry
from teamroom.server.facts.decision import asked_people, describe_outcome, find_decision, state_now
from teamroom.server.facts.ids import authorization_name, decision_name
from teamroom.server.facts.roles import EVERYBODY
from teamroom.server.identity import TOKEN, Caller
from teamroom.server.record import chain as log
from teamroom.server.rules.approvals import ApprovalRule, rules_matching
from teamroom.server.rules.local_calls import SHOWN_CHARACTERS, LocalCall, list_foreign
from teamroom.server.rules.spans import duration
from teamroom.server.rules.text import add_quote, cite, inline, one_line
from teamroom.server.store.rows.approvals import ApprovalRow
from teamroom.server.store.rows.authorizations import AuthorizationRow
from teamroom.server.store.rows.decisions import DecisionRow
from teamroom.server.store.transaction import Writing

ALLOW, REFUSE = "allow", "refuse"
"""The options of a decision about a call."""

ALLOWED = 1
"""The number of the first of them."""

LINE_CHARACTERS = 100
"""How much of a call the question about it shows. Its detail shows all."""

FOLDER_CHARACTERS, TOOL_CHARACTERS = 1_000, 80
"""The longest folder, and the longest name of a tool, that a person is shown. Both must be shown whole."""

NOTE_CHARACTERS = 500
"""How much of the person's note a refusal shows."""

RULES_NAMED = 5
"""How many of the rules that a call matches are named."""


class PassCall(Arguments):
    """Arguments of `pass_call`: the call as the gate's harness says it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    call: Annotated[LocalCall, Field(exclude=True)]
    harness: str


class Passed(Reply):
    """Reply of `pass_call`. `why`: why the call must not run now; "" if it may."""

    why: str = ""
    decision: str | None = None


def pass_call(tx: Writing, caller: Caller, arguments: PassCall) -> Passed:
    """Let a call pass, if no rule matches it, an entry authorises it, or a person allowed exactly it and it is unused.

    Otherwise a person is asked, once for each call.
    """
    call = arguments.call
    rules = rules_matching(map(compared, rules_of(tx, caller.member, caller.kind, caller.owner)), call)
    entries = {rule.scope: _entry(tx, caller, rule.scope) for rule in rules}
    unmet = [rule for rule in rules if entries[rule.scope] is None]
    if not unmet:
        return _pass_by_entries(tx, caller, call, [entry for entry in entries.values() if entry is not None])
    if (obstacle := _obstacle(call, unmet)) is not None:
        return Passed(why=obstacle)
    found = tx.one(ApprovalRow, "approval_for", member=caller.member, call=call.digest, epoch=tx.head.epoch)
    decision = None if found is None else find_decision(tx, found.decision)
    if found is not None and decision is not None:
        if _may_pass(tx, found, decision):
            return _pass_once(tx, caller, call, decision)
        if (why := _why_not(tx, caller, call, found, decision)) is not None:
            return Passed(why=why, decision=decision_name(decision.id))
    return _ask(tx, caller, arguments, unmet, found, decision)


def _entry(tx: Writing, caller: Caller, scope: str) -> AuthorizationRow | None:
    return find_entry(tx, caller.member, caller.kind, caller.owner, scope) if scope else None


# ------------------------------------------------------------------ it passes


def _pass_by_entries(tx: Writing, caller: Caller, call: LocalCall, entries: list[AuthorizationRow]) -> Passed:
    """Let a call pass that needs no decision. Each entry that it needs counts one use."""
    if not entries:
        return Passed()
    names = [authorization_name(entry.id) for entry in entries]
    seq = log.append(
        tx,
        author(caller),
        act="pass_call",
        subject=names[0],
        summary=add_quote(f"A {_tool(call)} call of @{caller.name} passes by {' and '.join(names)}", call.line),
        detail={"authorizations": names, "scopes": [entry.scope for entry in entries], "call": call.digest},
    )
    count_uses(tx, entries, seq)
    return Passed(receipt=seq)


def _may_pass(tx: Writing, found: ApprovalRow, decision: DecisionRow) -> bool:
    """Whether a person allowed the call, recently enough, and it has not passed since."""
    return (
        found.used_at is None
        and decision.state == "decided"
        and decision.choice == ALLOWED
        and decision.settled_at is not None
        and tx.now < decision.settled_at + tx.settings.approval_seconds
    )


def _pass_once(tx: Writing, caller: Caller, call: LocalCall, decision: DecisionRow) -> Passed:
    name = decision_name(decision.id)
    seq = log.append(
        tx,
        author(caller),
        act="pass_call",
        subject=name,
        summary=add_quote(
            f"A {_tool(call)} call of @{caller.name} passes once: @{decision.decider_name} allowed it in {name}",
            call.line,
        ),
        detail={"decision": name, "by": decision.decider_name, "call": call.digest},
    )
    tx.run("use_approval", decision=decision.id, now=tx.now)
    return Passed(receipt=seq, decision=name)


# ------------------------------------------------------------------ it does not


def _obstacle(call: LocalCall, rules: list[ApprovalRule]) -> str | None:
    """Why no person can be asked about a call; None if one can."""
    waits = f"This call matches {_named(rules)}, so it needs a person"
    fix = "Make the call smaller, or ask your owner to do it with post_message."
    if not call.digest:
        return f"{waits}, but its harness does not tell the room what it does, or it is too long to read. {fix}"
    if not call.shown:
        return f"{waits}, but its input is longer than {SHOWN_CHARACTERS} characters, so it cannot be shown. {fix}"
    if len(call.folder) > FOLDER_CHARACTERS or len(call.tool) > TOOL_CHARACTERS:
        return f"{waits}, but the name of its folder or of its tool is too long to be shown. {fix}"
    if TOKEN.search(call.shown) or TOKEN.search(call.folder):
        return (
            f"{waits}, but it contains a token of this room, which everybody could then read. Take the token out, and "
            "read it from a file or a variable instead."
        )
    return None


def _why_not(tx: Writing, caller: Caller, call: LocalCall, found: ApprovalRow, decision: DecisionRow) -> str | None:
    """Why a call must not run although a person was asked; None if a person is to be asked again."""
    name, state = decision_name(decision.id), state_now(tx, decision)
    if state == "open" and found.used_at is None:
        return f"This call waits for {name}, which {_people(tx, decision)} can decide. {SAME_CALL} {HOW_TO_LOOK}"
    is_refused = state == "decided" and decision.choice != ALLOWED and decision.settled_at is not None
    if is_refused and tx.now < (decision.settled_at or 0.0) + tx.settings.refused_call_seconds:
        note = f", with the note {inline(one_line(decision.note, NOTE_CHARACTERS))}" if decision.note else ""
        again = duration((decision.settled_at or 0.0) + tx.settings.refused_call_seconds - tx.now)
        return (
            f"{name} {describe_outcome(tx, decision)}{note}. Do not run this call, and do not do the same in another "
            f"way. In {again}, the same call asks a person again; ask @{caller.owner_name} with post_message if you "
            "need to know why."
        )
    return None


HOW_TO_LOOK = "To look: check_in. Do other work, or wait_for_wake; you are woken with the answer."

SAME_CALL = (
    "Once it is allowed, exactly the same call passes once: the same tool, the same input in every field, and the same "
    "folder. Do not change it, and do not do the same in another way."
)


def _ask(
    tx: Writing,
    caller: Caller,
    arguments: PassCall,
    rules: list[ApprovalRule],
    found: ApprovalRow | None,
    before: DecisionRow | None,
) -> Passed:
    """Ask a person about a call. Its digest is in the decision, so the decision's own digest covers it."""
    call = arguments.call
    limit = tx.settings.open_approvals
    if tx.number("count_open_approvals", member=caller.member, now=tx.now) >= limit:
        return Passed(
            why=f"This call matches {_named(rules)}, so it needs a person, and {limit} calls of yours wait for one "
            f"already, which is the limit. Wait until they are decided. {HOW_TO_LOOK}"
        )
    what = one_line(call.line, LINE_CHARACTERS) or "The detail shows what it does."
    asked = request_decision(
        tx,
        caller,
        RequestDecision(
            question=f"May @{caller.name} run this {_tool(call)} call once? {what}",
            options=[ALLOW, REFUSE],
            detail=_detail(tx, arguments, rules),
            artifacts=[Artifact(kind="other", ref=f"the {_tool(call)} call", sha256=call.digest)],
        ),
    )
    number = int(asked.decision[2:])
    tx.run("add_approval", decision=number, member=caller.member, call=call.digest, epoch=tx.head.epoch)
    decision = find_decision(tx, number)
    earlier = _earlier(tx, found, before)
    return Passed(
        receipt=asked.receipt,
        decision=asked.decision,
        why=f"{earlier}This call matches {_named(rules)}, so it waits for {asked.decision}, which "
        f"{_people(tx, decision)} can decide. {SAME_CALL} {HOW_TO_LOOK}",
    )


def _earlier(tx: Writing, found: ApprovalRow | None, before: DecisionRow | None) -> str:
    """What became of the decision before, as a sentence; "" if there was none."""
    if found is None or before is None:
        return ""
    name = decision_name(before.id)
    if found.used_at is None or before.state != "decided" or before.choice != ALLOWED:
        return f"{name} {describe_outcome(tx, before)}. "
    if _has_passed(tx, name):
        return f"{name} let this call pass once, at {tx.shown(found.used_at)}. "
    return f"{name} can no longer let this call pass. "


def _has_passed(tx: Writing, decision: str) -> bool:
    """Whether a call passed by a decision. Without that, its member was killed, and can no longer use it."""
    entry = tx.value(int, "newest_entries_of_subject", subject=decision, actor=0, act="pass_call", limit=1)
    return entry is not None


def _detail(tx: Writing, arguments: PassCall, rules: list[ApprovalRule]) -> str:
    """What a person reads before the decision: the rule, the folder and the whole input."""
    call = arguments.call
    folder = f" in the folder {json.dumps(call.folder, ensure_ascii=False)}" if call.folder else ""
    foreign = list_foreign(call.shown + call.folder)
    return "\n".join(
        [
            f"The tool {cite(call.tool)} of {arguments.harness}{folder}. It matches {_named(rules)}.",
            f"If you choose {ALLOW}, exactly this input passes once, within {duration(tx.settings.approval_seconds)}.",
            *([f"Beyond ASCII: {foreign}."] if foreign else []),
            "The whole input:",
            call.shown,
        ]
    )


def _people(tx: Writing, decision: DecisionRow) -> str:
    return " or ".join(f"@{person.name}" for person in asked_people(tx, decision.id)) or "a room owner"


def _named(rules: list[ApprovalRule]) -> str:
    named = " and ".join(f"rule {rule.id} ({inline(rule.match)})" for rule in rules[:RULES_NAMED])
    return named + (" and others" if len(rules) > RULES_NAMED else "")


def _tool(call: LocalCall) -> str:
    return cite(one_line(call.tool, 40))


PASS_CALL = Act("pass_call", PassCall, Passed, pass_call, roles=EVERYBODY, is_evidence=lambda reply: False)
