"""Writes `docs/tools.md`: each tool with its arguments and an example, from a story played against a real room.

`python -m tests.support.tools_page > docs/tools.md` writes it. A test compares the page with what the room answers.
"""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

from mcp_types import INVALID_PARAMS

from teamroom.server.refusals import REFUSED, Code
from teamroom.tools.serve import TOOLS
from teamroom.tools.tool import Tool
from tests.support.rooms import Member, RunningRoom, StillTime, running_room

BEGIN = 1_795_424_400.0
"""2026-11-23T09:00:00Z"""

FIRST = """\
# Tools

This page shows every tool with its arguments and an example. The examples are one story, which a test plays against a
real room. `@olga` is its owner; `@builder` and `@tester` are agents.

- Replies appear here as a model reads them. The structured content of a reply has the same facts.
- A refusal is a result with `isError`. It has a `code`, says `why`, and gives a `fix`. The codes are CODES.
- A refused resource, prompt or request without a token gets a JSON-RPC error with the code REFUSED. Its `data` has the
  same fields. For malformed requests and unknown addresses, the code is INVALID_PARAMS.
- Tasks are `T-1`, messages `M-1`, offers `O-1`; `t-1`, `#1` and `1` are read too. A name may have its `@`, and `all`
  means the room.
- What can mean only one thing is read that way. So a list or an object may be JSON text, a list may be one text, and a
  whole number may be a text. `replyTo` is read as `reply_to`. For an optional argument, `null` and `""` mean that it is
  left out.
- A near miss such as `dependson`, and an argument of another tool, is refused with the corrected call. So is a field
  such as `author` with the name of somebody else. Everything else that no tool knows is left out, and the reply names
  it.
- A text loses what steers or hides, such as escape sequences. In the reply, `removed` counts what went. A reply names
  the mentions in the texts of its call that wake nobody. A refusal of an unknown name has `near`, the names that it may
  mean.
- Give times as seconds from now. Replies have times in UTC.
- A program may send `_meta: {"teamroom/request-id": "…"}`. The same call with the same id returns the first reply,
  marked `replayed`.
- A program that listens for a long time sends `_meta: {"teamroom/listener": "…"}` with each call. The value is the
  Unix time in milliseconds at which it began, a dash, and up to 16 lower-case letters or digits. Only the newest
  listener gets wakes. It says what became of them with `teamroom/woke` and `teamroom/run-ended`: see
  [How it works](how-it-works.md#the-steps-of-a-wake).
- A program may say where it runs, with `_meta: {"teamroom/runtime": {"host": "mill", "folder": "api"}}` and the fields
  `harness`, `version`, `branch` and `commit`. The room keeps short names alone: see
  [Where a member runs](join.md#where-a-member-runs).
"""


@dataclass(frozen=True)
class Step:
    """One call of the story; `shown` where the page has it."""

    who: str
    tool: str
    arguments: dict[str, Any]
    shown: bool = True


PLAN = b"1. Count failed logins for each address.\n2. Refuse the sixth within a minute.\n"

STORY = (
    Step("olga", "enroll", {"name": "reviewer", "label": "laptop", "expires_seconds": 2_592_000}),
    Step("builder", "check_in", {"mode": "live"}),
    Step("builder", "declare_capabilities", {"capabilities": ["repo:acme/api"]}),
    Step("tester", "declare_capabilities", {"capabilities": ["repo:acme/api"]}, shown=False),
    Step(
        "olga",
        "create_task",
        {
            "title": "Rate-limit the login route",
            "detail": "At most five failed logins a minute for each address.",
            "needs": ["repo:acme/api"],
            "priority": 5,
        },
    ),
    Step("builder", "claim_task", {}),
    Step("builder", "heartbeat", {"task": "T-1", "note": "reading the login route", "busy_until": 1800}),
    Step(
        "builder",
        "post_message",
        {"text": "@tester which addresses do the load tests come from?", "kind": "ask", "task": "T-1"},
    ),
    Step("tester", "wait_for_wake", {"timeout_seconds": 0}),
    Step("tester", "read_messages", {"ids": ["M-1"]}),
    Step("builder", "update_task", {"task": "T-1", "fence": 1, "note": "limiter written, 12 tests pass"}),
    Step(
        "builder",
        "request_decision",
        {
            "question": "How many failed logins a minute?",
            "options": ["five", "ten"],
            "detail": "Support asks for ten, because people share addresses.",
            "task": "T-1",
        },
    ),
    Step("olga", "decide", {"decision": "D-1", "option": "five", "note": "ten for the office's address"}),
    Step(
        "builder",
        "hand_off",
        {
            "task": "T-1",
            "fence": 1,
            "to": "tester",
            "note": "please finish the load test, the plan says how",
            "artifacts": [{"kind": "file", "ref": "plan.md", "sha256": sha256(PLAN).hexdigest()}],
        },
    ),
    Step(
        "tester",
        "answer_hand_off",
        {"offer": "O-1", "accept": True, "proofs": [{"ref": "plan.md", "value": sha256(PLAN).hexdigest()}]},
    ),
    Step(
        "tester",
        "complete_task",
        {
            "task": "T-1",
            "fence": 2,
            "summary": "the sixth failed login within a minute is refused",
            "evidence": [{"kind": "test", "ref": "pytest -q: 212 passed"}],
        },
    ),
    Step("tester", "read_board", {}),
    Step("olga", "review_task", {"task": "T-1", "verdict": "accept", "note": "212 pass here too"}),
    Step("builder", "who", {"name": "tester"}),
    Step("rex", "declare_capabilities", {"capabilities": ["runtime:tester"]}, shown=False),
    Step("rex", "repair", {"name": "tester", "found": "its process is gone"}),
    Step("olga", "pause", {"target": "builder", "reason": "wrong repository", "for_seconds": 600}),
    Step("olga", "resume", {"target": "builder", "reason": "it was the right one"}),
    Step("olga", "read_receipts", {"act": "pause", "limit": 5}),
    Step("olga", "overnight", {"hours": 12}),
    Step("olga", "revoke", {"name": "reviewer", "label": "laptop"}),
    Step("olga", "authorize", {"to": "builder", "scope": "deploy:staging", "until": 3600, "uses": 2}),
    Step("builder", "check_authorization", {"scope": "deploy:staging", "use": True}),
    Step("builder", "check_authorization", {"scope": "deploy:production"}),
    Step(
        "olga",
        "import_task",
        {
            "external": "github:acme/api#12",
            "title": "Log in with a passkey",
            "done": True,
            "created_at": 1_767_225_600,
            "closed_at": 1_769_904_000,
        },
    ),
    Step("olga", "kill", {"target": "tester", "reason": "posted its token in a pull request"}),
)


async def play(room: RunningRoom) -> dict[str, list[tuple[Step, str]]]:
    """Play the story; returns the replies of each tool."""
    answers: dict[str, list[tuple[Step, str]]] = {name: [] for name in TOOLS}
    members: dict[str, Member] = {"olga": await room.owner()}
    for name in ("builder", "tester"):
        (members[name],) = await room.enroll(name)
    (members["rex"],) = await room.enroll("rex", role="watchdog")
    for step in STORY:
        _, words, refused = await members[step.who].said(step.tool, **step.arguments)
        assert not refused, f"{step.tool}: {words}"
        room.time.forward(30)
        if step.shown:
            answers[step.tool].append((step, words))
    return answers


def page(answers: dict[str, list[tuple[Step, str]]]) -> str:
    """The whole page."""
    first = FIRST.replace("CODES", ", ".join(f"`{code}`" for code in get_args(Code)))
    first = first.replace("REFUSED", f"`{REFUSED}`").replace("INVALID_PARAMS", f"`{INVALID_PARAMS}`")
    return "\n".join([first, *(section(TOOLS[name], steps) for name, steps in answers.items())])


def section(tool: Tool, steps: list[tuple[Step, str]]) -> str:
    """One tool: its description, who sees it, its arguments, and its examples."""
    lines = [f"## {tool.name}", "", f"{tool.description}{for_whom(tool)}", "", *arguments(tool)]
    for step, words in steps:
        call = json.dumps(step.arguments, ensure_ascii=False)
        lines += [f"`@{step.who}` calls `{tool.name}` with", "", "```json", call, "```", "", "and gets", ""]
        lines += ["```text", *(line.rstrip() for line in words.splitlines()), "```", ""]
    return "\n".join(lines)


def for_whom(tool: Tool) -> str:
    """Which roles see the tool, unless all do."""
    act = tool.does
    if act.shown_to_agents is not None:
        return f" For: {', '.join(sorted(act.shown_to_agents))} and people."
    return "" if "member" in act.roles else f" For: {', '.join(sorted(act.roles))}."


def arguments(tool: Tool) -> Iterator[str]:
    """The arguments as a table, from the schema that the model gets."""
    schema = tool.definition.input_schema
    if schema.get("properties"):
        yield from ("| argument | what |", "|---|---|")
        for name, field in schema["properties"].items():
            needed = "" if name in schema.get("required", ()) else ", optional"
            yield f"| `{name}` | {kind(field)}{needed}{about(field)} |"
        yield ""


def kind(field: dict[str, Any]) -> str:
    """The type of an argument, in a word or two."""
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        items = field["items"]
        inside = ", ".join(f"`{name}`" for name in items.get("properties", {}))
        return f"list of {{{inside}}}" if inside else "list of texts"
    if "properties" in field:
        return "{" + ", ".join(f"`{name}`" for name in field["properties"]) + "}"
    return {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}[field["type"]]


def about(field: dict[str, Any]) -> str:
    """What the schema adds about an argument: its description, default and bounds."""
    words = [field["description"]] if "description" in field else []
    if field.get("default") not in (None, False):
        words.append(f"default `{field['default']}`")
    if "minimum" in field and "maximum" in field:
        words.append(f"{field['minimum']} to {field['maximum']}")
    return f": {'; '.join(words)}" if words else ""


def counting_entropy() -> Any:
    """Bytes that look random and are the same in every run."""
    calls = iter(range(1_000_000))

    def entropy(size: int) -> bytes:
        return sha256(next(calls).to_bytes(4, "big")).digest()[:size].ljust(size, b"\0")

    return entropy


async def written(folder: Path) -> str:
    """The page as the room of this release writes it."""
    async with running_room(folder, time=StillTime(BEGIN), entropy=counting_entropy()) as room:
        return page(await play(room)).replace(room.url, "http://127.0.0.1:8765")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        print(asyncio.run(written(Path(home) / "room")), end="")
