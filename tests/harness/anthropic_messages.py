"""Enough of Anthropic's Messages API for Claude Code."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tests.harness.script import RunCommand, Say, Turn, UseTool
from tests.harness.scripted_model import Json

CALL, LOOK_UP = "toolu_call_", "toolu_look_up_"


class AnthropicMessages:
    """The API as Claude Code 2.1 uses it; the room's tools are named mcp__teamroom__NAME."""

    path = "/v1/messages"

    def seen(self, request: Json) -> list[str]:
        """The results of the script's calls; look-ups of tools are none of them."""
        blocks = [block for block in _blocks(request) if block.get("type") == "tool_result"]
        return [_text(block.get("content")) for block in blocks if block["tool_use_id"].startswith(CALL)]

    def events(self, request: Json, turn: Turn, number: int) -> Iterable[Json]:
        """A message with one block: text, a call, or the look-up of a tool that Claude Code keeps back."""
        if isinstance(turn, Say):
            return _message(request, {"type": "text", "text": ""}, {"type": "text_delta", "text": turn.text})
        name, arguments = _call(turn)
        if name in _callable(request):
            return _message(request, *_tool_use(f"{CALL}{number}", name, arguments))
        look_up = {"query": f"select:{name}", "max_results": 1}
        return _message(request, *_tool_use(f"{LOOK_UP}{number}", "ToolSearch", look_up))


def _call(turn: UseTool | RunCommand) -> tuple[str, Json]:
    if isinstance(turn, RunCommand):
        return "Bash", {"command": turn.command, "description": "Run a command"}
    return f"mcp__teamroom__{turn.name}", turn.arguments


def _callable(request: Json) -> set[str]:
    """The tools whose schemas the model has: from the start, or because it looked them up."""
    queries = [b["input"]["query"] for b in _blocks(request) if b.get("name") == "ToolSearch"]
    return {tool["name"] for tool in request["tools"]} | {query.removeprefix("select:") for query in queries}


def _blocks(request: Json) -> Iterator[Json]:
    for message in request["messages"]:
        if isinstance(message["content"], list):
            yield from message["content"]


def _text(content: Any) -> str:
    """A result's text, which stands alone or in blocks."""
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content or [])


def _tool_use(id_: str, name: str, arguments: Json) -> tuple[Json, Json]:
    block = {"type": "tool_use", "id": id_, "name": name, "input": {}}
    return block, {"type": "input_json_delta", "partial_json": json.dumps(arguments)}


def _message(request: Json, block: Json, delta: Json) -> Iterator[Json]:
    reason = "tool_use" if block["type"] == "tool_use" else "end_turn"
    yield {
        "type": "message_start",
        "message": {
            "id": f"msg_{len(request['messages'])}",
            "type": "message",
            "role": "assistant",
            "model": request["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        },
    }
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": {"output_tokens": 1},
    }
    yield {"type": "message_stop"}
