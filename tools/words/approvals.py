"""Approval rules in words."""

from teamroom.server.acts.approvals.rules import Rules
from teamroom.server.facts.approval import RuleShown
from teamroom.server.rules.text import cite, inline


def render_rule(rule: RuleShown) -> str:
    """A rule in one line."""
    but = f", except {', '.join(map(inline, rule.exceptions))}" if rule.exceptions else ""
    scope = f", unless authorised for {cite(rule.scope)}" if rule.scope else ""
    what = f"calls of {rule.to} that match {inline(rule.match)} wait for a person"
    return f"rule {rule.rule} by @{rule.by}: {what}{but}{scope}"


def render_rules(reply: Rules) -> str:
    """The rules, one line each."""
    more = f"\nMore: teamroom://rules/{reply.next}" if reply.next else ""
    return ("\n".join(map(render_rule, reply.rules)) or "There are no approval rules.") + more
