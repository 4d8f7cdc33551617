"""What a harness's hooks say, and how it is answered: pure functions of JSON.

A harness calls a hook before each of its own tools, and at other moments. Each harness has its own names for these, and
its own form of a denial. An answer that denies nothing is empty: to say that a call is allowed would skip the harness's
own prompt.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Phase = Literal["working", "permission", "person", "compacting", "idle", "ended"]
"""What a harness is doing: it uses a tool, waits for a permission or for its person, compacts, rests, or has ended."""

TOOL_CHARACTERS = 64

NO_TOOL_CHARACTER = re.compile(r"[^A-Za-z0-9_.:/-]")

OWN_TOOL = re.compile(r"(?:^|[^a-z])teamroom(?:__|[_.:/-])[a-z_]+$")
"""How harnesses name the tools of this room. The room itself refuses these, and a paused agent must call some."""

OWN_TOOLS = re.compile(r"(?:^|[^a-z*])teamroom(?:__|[_.:/-])[a-z_*]+$")
"""How a pattern is written that means tools of this room and no others."""

PHASES: Mapping[str, Phase] = {
    "pretooluse": "working",
    "posttooluse": "working",
    "beforetool": "working",
    "aftertool": "working",
    "tool_call": "working",
    "pre_tool": "working",
    "post_tool": "working",
    "userpromptsubmit": "working",
    "beforeagent": "working",
    "permissionrequest": "permission",
    "precompact": "compacting",
    "precompress": "compacting",
    "stop": "idle",
    "afteragent": "idle",
    "post_agent": "idle",
    "agentstop": "idle",
    "sessionstart": "idle",
    "sessionend": "ended",
}
"""What each event means, by its name in lower case."""

NOTIFICATIONS: Mapping[str, Phase] = {
    "permission_prompt": "permission",
    "toolpermission": "permission",
    "idle_prompt": "person",
    "elicitation_dialog": "person",
}
"""What the kinds of the event `Notification` mean."""

PROMPTING = frozenset({"permission", "person"})
"""The phases in which a harness waits at a prompt."""

DOING: Mapping[str, str] = {
    "working": "uses a tool",
    "permission": "waits for a permission",
    "person": "waits for its person",
    "compacting": "compacts its context",
    "idle": "rests",
    "ended": "has ended",
}
"""What a harness is doing, in words."""

BEFORE_TOOL = frozenset({"pretooluse", "beforetool", "tool_call", "pre_tool"})
"""The events after which the harness runs a tool, unless it is told not to."""


@dataclass(frozen=True, slots=True)
class Hook:
    """What a hook says: whether a tool is about to run, which one, and what the harness is doing.

    `phase` None: the event says nothing about that.
    """

    asks: bool
    tool: str = ""
    phase: Phase | None = None
    session: str = ""


TOOL = "tool_name"
"""Where most harnesses name a tool."""

Deny = Callable[[str, bool], dict[str, Any]]
"""The answer that keeps a tool from running: gets the reason, and whether the harness is to end altogether."""


@dataclass(frozen=True, slots=True)
class Harness:
    """How the hooks of one harness are read and answered.

    `event`, `tool`: where its hooks name these; a tool may also be where most harnesses name it. `only_event`: what is
    meant if a hook names no event. `hides_reason`: its model is not told why a server's tool was denied.
    """

    deny: Deny
    event: str = "hook_event_name"
    tool: str = TOOL
    only_event: str = "pretooluse"
    hides_reason: bool = False


def _deny_as_claude(reason: str, is_over: bool) -> dict[str, Any]:
    said = {
        "hookEventName": "PreToolUse",
        "permissionDecision": "deny",
        "permissionDecisionReason": reason,
    }
    return {"hookSpecificOutput": said, **({"continue": False, "stopReason": reason} if is_over else {})}


def _deny_as_codex(reason: str, is_over: bool) -> dict[str, Any]:
    """Codex takes a hook that says more than it knows for a broken one, and runs the tool."""
    return _deny_as_claude(reason, is_over=False)


def _deny_as_copilot(reason: str, is_over: bool) -> dict[str, Any]:
    return {"permissionDecision": "deny", "permissionDecisionReason": reason}


def _deny_as_gemini(reason: str, is_over: bool) -> dict[str, Any]:
    return {"decision": "deny", "reason": reason, **({"continue": False, "stopReason": reason} if is_over else {})}


def _deny_plainly(reason: str, is_over: bool) -> dict[str, Any]:
    return {"decision": "deny", "reason": reason}


HARNESSES: Mapping[str, Harness] = {
    "claude": Harness(_deny_as_claude),
    "codex": Harness(_deny_as_codex),
    "copilot": Harness(_deny_as_copilot, tool="toolName"),
    "gemini": Harness(_deny_as_gemini),
    "opencode": Harness(_deny_plainly, tool="tool"),
    "qwen": Harness(_deny_as_claude),
    "vibe": Harness(_deny_plainly, hides_reason=True),
}
"""The harnesses whose hooks the room answers, by the name of their format."""


def read_hook(harness: Harness, said: Any) -> Hook:
    """What a hook says. One of an unknown shape may precede a tool, so it asks."""
    if not isinstance(said, dict):
        return Hook(asks=True)
    event = re.sub(r"[ -]", "", _text(said, harness.event) or harness.only_event).lower()
    named = _text(said, harness.tool) or _text(said, TOOL)
    tool = NO_TOOL_CHARACTER.sub("", named)[:TOOL_CHARACTERS]
    kind = re.sub(r"[^a-z_]", "", _text(said, "notification_type").lower())
    phase = NOTIFICATIONS.get(kind) if event == "notification" else PHASES.get(event)
    is_known = event == "notification" or event in PHASES
    return Hook(event in BEFORE_TOOL or not is_known, tool, phase, _text(said, "session_id"))


def describe_doing(doing: str, tool: str, since: str) -> str:
    """What a harness is doing since when, and with which tool, in words; "" if it does not say."""
    if doing not in DOING:
        return ""
    return f"its harness {DOING[doing]} since {since}{f': {tool}' if tool else ''}"


WAITING: Mapping[str, str] = {"permission": "Waiting for permission", "person": "Waiting for its person"}
"""How a report says that a harness waits at a prompt."""


def describe_waiting(phase: str, tool: str) -> str:
    """What a harness at a prompt waits for, as a line of a report."""
    return f"{WAITING[phase]}{f': {tool}' if tool else ''}"


def with_span(waiting: str, span: str) -> str:
    """The same line with how long it has waited: `Waiting for permission for 12 min: Bash`."""
    words, colon, tool = waiting.partition(":")
    return f"{words} for {span}{colon}{tool}"


def is_own_tool(tool: str) -> bool:
    """Whether a tool is one of this room's, as harnesses name them."""
    return OWN_TOOL.search(tool.lower()) is not None


def means_own_tools(pattern: str) -> bool:
    """Whether a pattern of tools means some of this room's, and no others."""
    return OWN_TOOLS.search(pattern.lower()) is not None


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""
