"""A server that believes what it is sent, the twin of the room: python -m tests.campaigns.credulous FOLDER PORT."""

from typing import Any

from teamroom.server.app import Room
from teamroom.tools import serve as tools
from teamroom.tools.arguments import Understood
from teamroom.tools.tool import Tool
from tests.campaigns.twin_server import run


def believe(room: Room) -> None:
    """Take arguments as they come, each missing one at its default, none checked."""

    def believed(tool: Tool, sent: dict[str, Any] | None, caller: str, known: frozenset[str]) -> Understood:
        return Understood(tool.arguments.model_construct(**(sent or {})))

    tools.read_arguments = believed


if __name__ == "__main__":
    run(believe)
