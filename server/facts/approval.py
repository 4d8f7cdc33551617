"""Approval rules: which calls of an agent's own tools wait for a person, as they are stored and as members see them."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator

from teamroom.server import topics
from teamroom.server.facts.member import member_changed
from teamroom.server.refusals import Refusal
from teamroom.server.rules.approvals import ApprovalRule
from teamroom.server.store.rows.approvals import ApprovalRuleRow
from teamroom.server.store.transaction import Reading, Writing

RULES = 20
"""How many rules a member, or the agents of an owner, can have."""

BOTH = 2 * RULES
"""How many rules bind one agent at most: its own, and those of its owner."""


def _as_list(value: Any) -> Any:
    """A redaction replaces all exceptions of a remembered reply by one text."""
    return [value] if isinstance(value, str) else value


class RuleShown(BaseModel):
    """A rule. `to`: a member, or `owner:NAME` for all agents of an owner. `rule`: its number, which removes it."""

    rule: int
    to: str
    match: str
    exceptions: Annotated[list[str], BeforeValidator(_as_list)]
    scope: str | None
    by: str


def find_rule(tx: Reading, number: int) -> ApprovalRuleRow:
    """A rule in force. Raises Refusal `not_found`."""
    row = tx.one(ApprovalRuleRow, "approval_rule", id=number)
    if row is None:
        raise Refusal(
            "not_found",
            f"There is no approval rule {number}.",
            "List them: teamroom rules. Each has the number of the receipt that made it.",
        )
    return row


def rules_of(tx: Reading, member: int, kind: str, owner: int) -> list[ApprovalRuleRow]:
    """The rules that bind a member, the oldest first. They bind agents alone."""
    if kind != "agent":
        return []
    return tx.all(ApprovalRuleRow, "approval_rules_of", member=member, owner=owner, limit=BOTH)


def compared(row: ApprovalRuleRow) -> ApprovalRule:
    """A rule as it is compared with calls. Exceptions that cannot be read count as none."""
    try:
        exceptions = tuple(str(one) for one in json.loads(row.exceptions))
    except (ValueError, TypeError):
        exceptions = ()
    return ApprovalRule(row.id, row.matched, exceptions, row.scope)


def show_rule(row: ApprovalRuleRow) -> RuleShown:
    """A rule as members see it."""
    return RuleShown(
        rule=row.id,
        to=bound_name(row.level, row.target_name),
        match=row.matched,
        exceptions=list(compared(row).exceptions),
        scope=row.scope or None,
        by=row.maker_name,
    )


def bound_name(level: str, target: str) -> str:
    """Whom a rule binds, as it is written: a member, or all agents of an owner."""
    return f"owner:{target}" if level == "owner" else f"@{target}"


def rule_changed(tx: Writing, level: str, target: int) -> None:
    """State that a rule changed: next to the member that it binds, or to all agents of an owner."""
    tx.changed(topics.POLICY)
    member_changed(tx, target)
    if level == "owner":
        tx.changed(topics.owner(target))
