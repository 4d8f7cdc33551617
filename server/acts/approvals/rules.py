"""Approval rules: a person lets calls of an agent's own tools wait for a person, or ends that."""

import json
from typing import Annotated

from pydantic import BaseModel, Field

from teamroom.server.acts.act import Act, Arguments, Read, Reply, Seq, TargetName, Words, always, author
from teamroom.server.facts.approval import RULES, RuleShown, bound_name, find_rule, rule_changed, show_rule
from teamroom.server.facts.member import find_member
from teamroom.server.facts.person import require_person
from teamroom.server.facts.roles import ROOM_OWNERS
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.approvals import EXCEPTIONS, MATCH_HELP, is_exact, is_exception, is_match, tools_of
from teamroom.server.rules.hooks import means_own_tools
from teamroom.server.rules.names import AT
from teamroom.server.rules.scopes import SCOPE_HELP, is_scope
from teamroom.server.rules.text import add_quote, cite, inline
from teamroom.server.store.rows.approvals import ApprovalRuleRow
from teamroom.server.store.rows.members import MemberFacts
from teamroom.server.store.transaction import Reading, Writing

SHOWN = 100
"""How many rules one page shows."""

Match = Annotated[Words, Field(min_length=1)]


class RequireApproval(Arguments):
    """Arguments of `require_approval`: a rule to make, with `to` and `match`; or one to remove."""

    to: TargetName | None = None
    match: Match | None = None
    exceptions: Annotated[list[Match], Field(max_length=EXCEPTIONS)] | None = None
    scope: Annotated[Words, Field(min_length=1)] | None = None
    remove: Annotated[Seq, Field(ge=1)] | None = None


class ApprovalRequired(Reply, RuleShown):
    """Reply of `require_approval`: the rule, and whether it was removed. `note`: what it does not mean."""

    is_removed: bool = False
    note: str = ""


class ReadRules(Arguments):
    """Arguments of the read of rules."""

    after: Seq = 0


class Rules(BaseModel):
    """The rules of the room, the oldest first. `next`: the `after` of the next page, if there is one."""

    rules: list[RuleShown]
    next: int | None = None


def require_approval(tx: Writing, caller: Caller, arguments: RequireApproval) -> ApprovalRequired:
    """Let the calls that match wait for a person, from the next one on; or end that. Raises Refusal."""
    why = "Only a person says which calls wait for a person, and you are an agent."
    require_person(caller, why, f"Ask @{caller.owner_name}: request_decision.", "require_approval")
    if arguments.remove is not None:
        return _remove(tx, caller, find_rule(tx, arguments.remove))
    if arguments.to is None or arguments.match is None:
        raise Refusal(
            "invalid", "The call needs to and match, or remove.", 'Give them: to "builder" match "Bash(git push*)".'
        )
    exceptions = arguments.exceptions or []
    _require_form(arguments.match, exceptions, arguments.scope)
    level, name = (
        ("owner", arguments.to[6:].lstrip(AT))
        if arguments.to.lower().startswith("owner:")
        else ("member", arguments.to)
    )
    target = find_member(tx, name)
    _require_answerable(caller, level, target.id, target.owner, target.name)
    _require_agents(level, target)
    return _make(tx, caller, arguments.match, exceptions, arguments.scope or "", level, target)


def _make(
    tx: Writing, caller: Caller, match: str, exceptions: list[str], scope: str, level: str, target: MemberFacts
) -> ApprovalRequired:
    stored = {
        "level": level,
        "target": target.id,
        "matched": match,
        "exceptions": json.dumps(exceptions, ensure_ascii=False),
        "scope": scope,
    }
    longer = inline(f"{match[:-1]}*)")
    note = f"It means exactly this text; {longer} also means what begins with it." if is_exact(match) else ""
    if (same := tx.value(int, "same_approval_rule", **stored)) is not None:
        shown = show_rule(find_rule(tx, same))
        return ApprovalRequired(**shown.model_dump(), note="There is such a rule already.")
    if tx.number("count_approval_rules", level=level, target=target.id) >= RULES:
        raise Refusal(
            "rate_limited",
            f"There are {RULES} rules for {bound_name(level, target.name)} already, which is the limit.",
            "Remove one: teamroom rules --remove NUMBER. A rule without a pattern, such as Bash, replaces several.",
        )
    whom = bound_name(level, target.name)
    but = f" except {len(exceptions)}" if exceptions else ""
    by_scope = " unless authorised" if scope else ""
    seq = log.append(
        tx,
        author(caller),
        act="require_approval",
        subject=f"rule:{tx.head.seq + 1}",
        summary=add_quote(f"@{caller.name} has calls of {whom}{but} wait for a person{by_scope}", match),
        detail={"to": whom, "match": match, "exceptions": exceptions, "scope": scope or None},
    )
    tx.run("add_approval_rule", id=seq, made_by=caller.member, **stored)
    rule_changed(tx, level, target.id)
    return ApprovalRequired(receipt=seq, **show_rule(find_rule(tx, seq)).model_dump(), note=note)


def _remove(tx: Writing, caller: Caller, row: ApprovalRuleRow) -> ApprovalRequired:
    """Remove a rule. What it let wait passes without a decision from the next call on, unless another rule matches."""
    _require_answerable(caller, row.level, row.target, row.target_owner, row.target_name)
    shown = show_rule(row)
    seq = log.append(
        tx,
        author(caller),
        act="require_approval",
        subject=f"rule:{row.id}",
        summary=add_quote(f"@{caller.name} removed rule {row.id} for {shown.to}", row.matched),
        detail={"removed": True, **shown.model_dump()},
    )
    tx.run("remove_approval_rule", id=row.id)
    rule_changed(tx, row.level, row.target)
    return ApprovalRequired(receipt=seq, **shown.model_dump(), is_removed=True)


def read_rules(tx: Reading, caller: Caller, arguments: ReadRules) -> Rules:
    """A page of the room's rules."""
    rows = tx.all(ApprovalRuleRow, "approval_rules", after=arguments.after, limit=SHOWN + 1)
    shown = [show_rule(row) for row in rows[:SHOWN]]
    return Rules(rules=shown, next=shown[-1].rule if len(rows) > SHOWN else None)


def _require_form(match: str, exceptions: list[str], scope: str | None) -> None:
    if not is_match(match):
        raise Refusal("invalid", f"{cite(match)} is not a match.", MATCH_HELP)
    if means_own_tools(tools_of(match)):
        raise Refusal(
            "invalid",
            f"{cite(match)} means tools of this room, and a call to the room never waits for an approval.",
            "Name a tool of the harness, such as Bash. To require a person for a task, give the task requires.",
        )
    wrong = next((one for one in exceptions if not is_exception(one)), None)
    if wrong is not None:
        raise Refusal(
            "invalid",
            f"{cite(wrong)} is not an exception.",
            "Write what the command is, in ASCII, such as git status or git log *.",
        )
    if scope is not None and not (is_scope(scope) and scope.isascii()):
        raise Refusal("invalid", f"{cite(scope)} is no scope.", SCOPE_HELP)


def _require_answerable(caller: Caller, level: str, target: int, owner: int, name: str) -> None:
    """Refuse a person who answers neither for the target nor for the room."""
    if caller.role == "owner":
        return
    if caller.member != (target if level == "owner" else owner):
        raise Refusal(
            "not_allowed",
            f"You do not answer for @{name}.",
            "Ask its owner or a room owner to set the rule.",
            subject=f"@{name}",
        )


def _require_agents(level: str, target: MemberFacts) -> None:
    """Refuse a rule for a person's own calls, and one for the agents of somebody who cannot have any."""
    if level == "member" and target.kind != "agent":
        raise Refusal(
            "invalid",
            f"@{target.name} is a person, and rules are for agents.",
            f'Call again with to "owner:{target.name}", which binds all agents of @{target.name}.',
            subject=f"@{target.name}",
        )
    if level == "owner" and target.kind == "agent":
        raise Refusal(
            "invalid",
            f"@{target.name} is an agent, so it owns no agents.",
            f'Call again with to "{target.name}".',
            subject=f"@{target.name}",
        )


REQUIRE_APPROVAL = Act(
    "require_approval", RequireApproval, ApprovalRequired, require_approval, shown_to_agents=ROOM_OWNERS
)
READ_RULES = Read("rules", ReadRules, read_rules, is_small=always)
