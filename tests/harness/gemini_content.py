"""Enough of Gemini's generateContent API for Gemini CLI."""

import json
from collections.abc import Iterable
from typing import Any

from tests.harness.script import RunCommand, Say, Turn, UseTool
from tests.harness.scripted_model import Json

USAGE = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}


class GeminiContent:
    """The API as Gemini CLI 0.61 uses it; the room's tools are named mcp_teamroom_NAME."""

    path = r"/v1beta/models/[^/]+:streamGenerateContent"

    def seen(self, request: Json) -> list[str]:
        """The results of the script's calls."""
        parts = [part for content in request["contents"] for part in content.get("parts", [])]
        return [_text(part["functionResponse"]["response"]) for part in parts if "functionResponse" in part]

    def events(self, request: Json, turn: Turn, number: int) -> Iterable[Json]:
        """A response with one part."""
        content = {"role": "model", "parts": [_part(turn)]}
        candidate = {"index": 0, "content": content, "finishReason": "STOP"}
        return [{"candidates": [candidate], "usageMetadata": USAGE}]


def _part(turn: Turn) -> Json:
    if isinstance(turn, Say):
        return {"text": turn.text}
    name, arguments = _function(turn)
    return {"functionCall": {"name": name, "args": arguments}}


def _function(turn: UseTool | RunCommand) -> tuple[str, Json]:
    if isinstance(turn, RunCommand):
        return "run_shell_command", {"command": turn.command}
    return f"mcp_teamroom_{turn.name}", turn.arguments


def _text(response: Any) -> str:
    """A result's text, which stands alone as its output or its error."""
    if isinstance(response, dict) and len(response) == 1:
        (only,) = response.values()
        if isinstance(only, str):
            return only
    return json.dumps(response, ensure_ascii=False)
