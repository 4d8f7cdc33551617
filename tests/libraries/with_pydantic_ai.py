"""A member written with pydantic-ai."""

import asyncio
import json
from typing import Any

from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.mcp import MCPToolset

from tests.libraries.story import TOKEN, URL, Answer, work_in


class PydanticAIRoom:
    """The room through pydantic-ai's toolset; what it returns and raises is what its model sees."""

    def __init__(self, toolset: MCPToolset[None]) -> None:
        self._toolset = toolset

    async def tools(self) -> list[str]:
        """The names of the tools."""
        return [tool.name for tool in await self._toolset.list_tools()]

    async def call(self, tool: str, arguments: dict[str, Any]) -> Answer:
        """Call a tool; its data takes the place of its text, also in a refusal."""
        try:
            data = await self._toolset.direct_call_tool(tool, arguments)
        except ToolFailed as refusal:
            return Answer(refusal.message, {}, refused=True)
        return Answer(json.dumps(data), data)

    async def read(self, uri: str) -> str:
        """Read a resource as text."""
        contents = await self._toolset.read_resource(uri)
        assert isinstance(contents, list)
        assert isinstance(contents[0], str)
        return contents[0]


async def main() -> None:
    """Join and work.

    `failed` makes a refusal a result that the model reads; the default counts it as a mistake of the model, and
    ends the agent's whole run at the second one of the same tool.
    """
    headers = {"Authorization": f"Bearer {TOKEN}"}
    toolset = MCPToolset[None](URL, headers=headers, tool_error_behavior="failed", include_instructions=True)
    async with toolset:
        await work_in(PydanticAIRoom(toolset))


asyncio.run(main())
