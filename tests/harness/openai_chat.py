"""Enough of OpenAI's Chat Completions API for OpenCode and Copilot CLI."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.harness.script import RunCommand, Say, Turn
from tests.harness.scripted_model import Json

USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


@dataclass(frozen=True)
class OpenAIChat:
    """The API as clients of an OpenAI-compatible provider use it.

    `prefix`: what the harness puts before the names of the room's tools.
    """

    prefix: str

    path = r"/v1/chat/completions"

    def seen(self, request: Json) -> list[str]:
        """The results of the script's calls."""
        return [_text(message["content"]) for message in request["messages"] if message["role"] == "tool"]

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
            name, arguments = self._function(turn)
            function = {"name": name, "arguments": json.dumps(arguments)}
            call = {"index": 0, "id": f"call_{number}", "type": "function", "function": function}
            delta, reason = {"tool_calls": [call]}, "tool_calls"
        first = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": None}
        last = {"index": 0, "delta": {}, "finish_reason": reason}
        return [{**chunk, "choices": [first]}, {**chunk, "choices": [last], "usage": USAGE}]

    def _function(self, turn: Any) -> tuple[str, Json]:
        if isinstance(turn, RunCommand):
            return "bash", {"command": turn.command, "description": "Run a command"}
        return f"{self.prefix}{turn.name}", turn.arguments


def _text(content: Any) -> str:
    """A message's text, which stands alone or in parts."""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or [])
