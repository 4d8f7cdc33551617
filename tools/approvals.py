"""The tool of approvals: which calls of agents' own tools wait for a person."""

from teamroom.server.acts.approvals.rules import REQUIRE_APPROVAL, ApprovalRequired, RequireApproval
from teamroom.server.rules.text import cite_name, inline
from teamroom.tools.danger import Danger, page_of, write_command
from teamroom.tools.tool import Tool
from teamroom.tools.words.approvals import render_rule
from teamroom.tools.words.phrases import cite_receipt


def render_required(reply: ApprovalRequired) -> str:
    """The reply of `require_approval`."""
    note = f" {reply.note}" if reply.note else ""
    done = "Removed: " if reply.is_removed else ""
    return f"{done}{render_rule(reply)}{cite_receipt(reply)}.{note}"


def _ask_to_require(asked: RequireApproval) -> str:
    if asked.remove is not None:
        return f"Remove approval rule {asked.remove}? What it let wait then runs without a person."
    but = f", except {', '.join(map(inline, asked.exceptions))}" if asked.exceptions else ""
    scope = f", unless authorised for {inline(asked.scope)}" if asked.scope else ""
    return f"Have calls of {cite_name(f'@{asked.to}')} wait for a person? {inline(asked.match or '')}{but}{scope}"


def _command(asked: RequireApproval) -> str:
    if asked.remove is not None:
        return write_command("rules", remove=asked.remove)
    excepted = [word for one in asked.exceptions or () for word in ("--except", one)]
    return write_command("rules", asked.to, asked.match, *excepted, scope=asked.scope)


REQUIRING = Danger(_ask_to_require, _command, lambda asked: page_of(asked.to) if asked.to else "/settings")


TOOLS = (
    Tool(
        REQUIRE_APPROVAL,
        "Have calls of an agent's own tools, or those of owner:NAME, wait for a person: match such as Bash(git push*), "
        "or Bash with exceptions. scope: what an authorisation lets pass. Or remove a rule by its number.",
        render_required,
        place=320,
        danger=REQUIRING,
        in_chat=False,
    ),
)
