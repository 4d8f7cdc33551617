"""A member written with the SDK's first generation, which knows the protocol with a handshake only."""

import asyncio
from typing import Any

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent, TextResourceContents
from pydantic import AnyUrl

from tests.libraries.story import TOKEN, URL, Answer, work_in


class OldSessionRoom:
    """The room through a session."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def tools(self) -> list[str]:
        """The names of the tools."""
        return [tool.name for tool in (await self._session.list_tools()).tools]

    async def call(self, tool: str, arguments: dict[str, Any]) -> Answer:
        """Call a tool."""
        result = await self._session.call_tool(tool, arguments)
        [block] = result.content
        assert isinstance(block, TextContent)
        return Answer(block.text, result.structuredContent or {}, result.isError)

    async def read(self, uri: str) -> str:
        """Read a resource as text."""
        words = (await self._session.read_resource(AnyUrl(uri))).contents[0]
        assert isinstance(words, TextResourceContents)
        return words.text


async def main() -> None:
    """Join and work."""
    async with (
        httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as http,
        streamable_http_client(URL, http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        await work_in(OldSessionRoom(session))


asyncio.run(main())
