"""Enough of OpenAI's Responses API for Codex."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.harness.script import RunCommand, Say, Turn, UseTool
from tests.harness.scripted_model import Json

USAGE = {
    "input_tokens": 1,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 1,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 2,
}


@dataclass(frozen=True)
class OpenAIResponses:
    """The API as Codex 0.169 uses it; the room's tools stand in the namespace mcp__teamroom.

    `escalates`: its commands ask to run outside of the sandbox, which Codex asks its person for.
    """

    escalates: bool = False

    path = "/v1/responses"

    def seen(self, request: Json) -> list[str]:
        """The results of the script's calls."""
        outputs = [item for item in request["input"] if item.get("type") == "function_call_output"]
        return [_text(output["output"]) for output in outputs]

    def events(self, request: Json, turn: Turn, number: int) -> Iterable[Json]:
        """A response with one item."""
        response = {"id": f"resp_{number}"}
        return [
            {"type": "response.created", "response": response},
            {"type": "response.output_item.done", "output_index": 0, "item": self._item(turn, number)},
            {"type": "response.completed", "response": {**response, "usage": USAGE}},
        ]

    def _item(self, turn: Turn, number: int) -> Json:
        if isinstance(turn, Say):
            content = [{"type": "output_text", "text": turn.text}]
            return {"type": "message", "id": f"msg_{number}", "role": "assistant", "content": content}
        call = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}"}
        return {**call, **_function(turn, ESCALATION if self.escalates else {})}


ESCALATION = {"sandbox_permissions": "require_escalated", "justification": "May I?"}


def _function(turn: UseTool | RunCommand, more: Json) -> Json:
    if isinstance(turn, RunCommand):
        return {"name": "exec_command", "arguments": json.dumps({"cmd": turn.command, **more})}
    return {"namespace": "mcp__teamroom", "name": turn.name, "arguments": json.dumps(turn.arguments)}


def _text(output: Any) -> str:
    """An output's text, which stands alone or in items."""
    if isinstance(output, str):
        return output
    return "\n".join(item.get("text", "") for item in output)
