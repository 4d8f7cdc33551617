"""Enough of OpenAI's Chat Completions API for the harnesses that ask an OpenAI-compatible model."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.harness.script import RunCommand, Say, ScriptError, Turn, UseTool
from tests.harness.scripted_model import Json

USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}

OWN = "call_"
"""What the ids of the script's calls begin with. Other calls are what a harness wants before one, such as a search."""


@dataclass(frozen=True)
class OpenAIChat:
    """The API as clients of an OpenAI-compatible provider use it.

    `prefix`: what the harness puts before the names of the room's tools; some put a hash after them.
    `shell`: its own tool for commands, and `shell_arguments` what that takes beside the command.
    """

    prefix: str
    shell: str = "bash"
    shell_arguments: Json | None = None
    hashes: bool = False

    path = r"/v1/chat/completions"

    def seen(self, request: Json) -> list[str]:
        """The results of the script's calls."""
        return [
            _text(message["content"])
            for message in request["messages"]
            if message["role"] == "tool" and str(message.get("tool_call_id", OWN)).startswith(OWN)
        ]

    def events(self, request: Json, turn: Turn, number: int) -> Iterable[Json]:
        """A completion in two chunks: what it says, and why it ends."""
        chunk = {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": request["model"],
        }
        if isinstance(turn, Say):
            delta, reason = {"content": turn.text}, "stop"
        else:
            id_, name, arguments = self.call(request, turn, number)
            function = {"name": name, "arguments": json.dumps(arguments)}
            delta, reason = (
                {"tool_calls": [{"index": 0, "id": id_, "type": "function", "function": function}]},
                "tool_calls",
            )
        first = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": None}
        last = {"index": 0, "delta": {}, "finish_reason": reason}
        return [{**chunk, "choices": [first]}, {**chunk, "choices": [last], "usage": USAGE}]

    def call(self, request: Json, turn: UseTool | RunCommand, number: int) -> tuple[str, str, Json]:
        """The id, the name and the arguments of the call for a turn."""
        if isinstance(turn, RunCommand):
            more = {"description": "Run a command"} if self.shell_arguments is None else self.shell_arguments
            return f"{OWN}{number}", self.shell, {"command": turn.command, **more}
        name = f"{self.prefix}{turn.name}"
        return f"{OWN}{number}", self._hashed(request, name) if self.hashes else name, turn.arguments

    def _hashed(self, request: Json, name: str) -> str:
        """The tool of a request with this name and a hash after it."""
        found = [one for one in names_of(request) if re.fullmatch(rf"{name}_[0-9a-f]+", one)]
        if len(found) != 1:
            raise ScriptError(f"the model was offered no {name}_…, but {names_of(request)}")
        return found[0]


@dataclass(frozen=True)
class SearchedTools(OpenAIChat):
    """Qwen Code's form: no tool of the room is in the request. The model searches for it, and calls it by a bridge."""

    def call(self, request: Json, turn: UseTool | RunCommand, number: int) -> tuple[str, str, Json]:
        """Search first, then call."""
        id_, name, arguments = super().call(request, turn, number)
        if isinstance(turn, RunCommand) or name in names_of(request):
            return id_, name, arguments
        search = f"search_{number}"
        if not any(message.get("tool_call_id") == search for message in request["messages"]):
            return search, "tool_search", {"query": f"select:{name}"}
        return id_, "tool_call", {"name": name, "arguments": arguments}


@dataclass(frozen=True)
class CodeMode(OpenAIChat):
    """Vibe's form: the model calls the tools of servers in code, with one tool that runs TypeScript."""

    def call(self, request: Json, turn: UseTool | RunCommand, number: int) -> tuple[str, str, Json]:
        """The code of a call."""
        id_, name, arguments = super().call(request, turn, number)
        if isinstance(turn, RunCommand):
            return id_, name, arguments
        code = f"async function main() {{\n  return await tools.{name}({json.dumps(arguments)});\n}}"
        return id_, "run_typescript", {"code": code}


def names_of(request: Json) -> list[str]:
    """The tools that a request offers."""
    return [tool["function"]["name"] for tool in request.get("tools", [])]


def _text(content: Any) -> str:
    """A message's text, which stands alone or in parts."""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or [])
