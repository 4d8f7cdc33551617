"""What a member does here with any library: a whole task, a refusal and a wake. It tells each step on a line.

Standard library only: each script runs it in the environment of its library.
"""

import json
import os
from dataclasses import dataclass
from typing import Any, Protocol

URL = os.environ.get("TEAMROOM_URL", "") + "/mcp"
TOKEN = os.environ.get("TEAMROOM_TOKEN", "")

SHORT_SECONDS, LONG_SECONDS = 0.2, 20.0
"""A wait that ends without a wake, and one that a wake ends."""

WAITS = "waits"
"""The step told right before the long wait: now is the time for a wake."""


@dataclass(frozen=True)
class Answer:
    """The answer to a call: what the library shows of it, its data, and whether it was refused."""

    text: str
    data: dict[str, Any]
    refused: bool = False


class Room(Protocol):
    """The room through one library."""

    async def tools(self) -> list[str]:
        """The names of the tools."""
        ...

    async def call(self, tool: str, arguments: dict[str, Any]) -> Answer:
        """Call a tool the way the library's users do."""
        ...

    async def read(self, uri: str) -> str:
        """Read a resource as text."""
        ...


async def work_in(room: Room) -> None:
    """Do it all, and tell each step."""
    _tell("tools", ", ".join(await room.tools()))
    await _use(room, "check_in")
    await _use(room, "post_message", text="I count the lines of the plan.", kind="note")
    task = (await _use(room, "create_task", title="Count the lines", review="none")).data["task"]
    stale = (await _use(room, "claim_task", task=task)).data["fence"]
    await _use(room, "update_task", task=task, fence=stale, status="released")
    fence = (await _use(room, "claim_task", task=task)).data["fence"]
    await _use(room, "update_task", task=task, fence=stale, note="Counted.")
    evidence = [{"kind": "file", "ref": "plan.md", "value": "212 lines"}]
    await _use(room, "complete_task", task=task, fence=fence, summary="212 lines.", evidence=evidence)
    _tell("read", await room.read(f"teamroom://tasks/{task}"))
    cursor = (await _use(room, "wait_for_wake", timeout_seconds=SHORT_SECONDS)).data["cursor"]
    _tell(WAITS, "")
    await _use(room, "wait_for_wake", after=cursor, timeout_seconds=LONG_SECONDS)


async def _use(room: Room, tool: str, **arguments: Any) -> Answer:
    answer = await room.call(tool, arguments)
    _tell(tool, answer.text, answer.refused)
    return answer


def _tell(step: str, text: str, refused: bool = False) -> None:
    print(json.dumps({"step": step, "text": text, "refused": refused}), flush=True)
