"""`teamroom connect` as bytes, for tests: frames in, frames out, words beside them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from mcp_types import CLIENT_CAPABILITIES_META_KEY, PROTOCOL_VERSION_META_KEY
from mcp_types.version import LATEST_MODERN_VERSION

from tests.support.bounds import BOUND_SECONDS
from tests.support.shells import TEAMROOM, Shell

ENVELOPE = {PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION, CLIENT_CAPABILITIES_META_KEY: {}}


class Pipe:
    """`teamroom connect` as bytes: frames in, frames out, words beside them."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._id = 0

    async def send(self, message: Any) -> None:
        assert self.process.stdin is not None
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.process.stdin.write(line + b"\n")
        await self.process.stdin.drain()

    async def receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), BOUND_SECONDS)
        assert line.endswith(b"\n"), "the bridge left"
        return dict(json.loads(line))

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """A modern request and its answer."""
        self._id += 1
        await self.send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": {**params, "_meta": ENVELOPE}})
        answer = await self.receive()
        assert answer["id"] == self._id
        return answer

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return await self.ask("tools/call", name=tool, arguments=arguments)

    async def initialize(self) -> dict[str, Any]:
        """Open a session as older clients do."""
        client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}
        await self.send({"jsonrpc": "2.0", "id": "first", "method": "initialize", "params": client})
        answer = await self.receive()
        await self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    async def old(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A call within the session."""
        params = {"name": tool, "arguments": arguments}
        await self.send({"jsonrpc": "2.0", "id": "old", "method": "tools/call", "params": params})
        return await self.receive()

    async def end(self) -> tuple[int, bytes, str]:
        """Close standard input; the exit code, what else stood on standard output, and the words."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        out, err = await asyncio.wait_for(self.process.communicate(), BOUND_SECONDS)
        assert self.process.returncode is not None
        return self.process.returncode, out, err.decode()


@contextlib.asynccontextmanager
async def pipe(shell: Shell, *words: str) -> AsyncIterator[Pipe]:
    process = await asyncio.create_subprocess_exec(
        TEAMROOM,
        "connect",
        *words,
        env=shell.environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        yield Pipe(process)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
