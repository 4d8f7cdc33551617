"""A member written with fastmcp."""

import asyncio
from typing import Any

from fastmcp import Client
from fastmcp.exceptions import ToolError
from mcp_types import TextContent, TextResourceContents

from tests.libraries.story import TOKEN, URL, Answer, work_in


class FastMCPRoom:
    """The room through fastmcp's client, which raises what is refused."""

    def __init__(self, client: Client[Any]) -> None:
        self._client = client

    async def tools(self) -> list[str]:
        """The names of the tools."""
        return [tool.name for tool in await self._client.list_tools()]

    async def call(self, tool: str, arguments: dict[str, Any]) -> Answer:
        """Call a tool; of a refusal there is a text alone."""
        try:
            result = await self._client.call_tool(tool, arguments)
        except ToolError as refusal:
            return Answer(str(refusal), {}, refused=True)
        [block] = result.content
        assert isinstance(block, TextContent)
        return Answer(block.text, result.structured_content or {})

    async def read(self, uri: str) -> str:
        """Read a resource as text."""
        words = (await self._client.read_resource(uri))[0]
        assert isinstance(words, TextResourceContents)
        return words.text


async def main() -> None:
    """Join and work."""
    async with Client(URL, auth=TOKEN) as client:
        await work_in(FastMCPRoom(client))


asyncio.run(main())
