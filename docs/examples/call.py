"""Call one tool as one member: python docs/examples/call.py MEMBER TOOL [ARGUMENTS as JSON].

It is a whole client in a page: the MCP SDK, the room's address, and the member's token. The token is the one that
`teamroom enroll MEMBER --save` keeps in the data folder. The HTTP client of this package sends it only to a server that
has proven to be the room; any other HTTP client works too, and sends it to whatever has the address.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from teamroom.clients.session.streams import http_client

URL = os.environ.get("TEAMROOM_URL", "http://127.0.0.1:8765")


def token_of(member: str) -> str:
    """The member's token."""
    return Path(os.environ["TEAMROOM_DATA"], "members", f"{member}.token").read_text().strip()


async def call(token: str, tool: str, arguments: str = "{}") -> str:
    """Call the tool; returns what a model reads, which is a refusal if the room refuses the call."""
    async with http_client(f"{URL}/mcp", httpx2.Timeout(60)) as http:
        http.headers["Authorization"] = f"Bearer {token}"
        async with Client(streamable_http_client(f"{URL}/mcp", http_client=http)) as room:
            result = await room.call_tool(tool, json.loads(arguments))
            return str(getattr(result.content[0], "text", ""))


if __name__ == "__main__":
    _, member, *words = sys.argv
    print(asyncio.run(call(token_of(member), *words)))
