"""The room as the shell calls it: an MCP client like any other, and what goes wrong on the way."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types.version import LATEST_MODERN_VERSION

from teamroom.clients.session.failure import Failure, UnreachableError, refusal
from teamroom.clients.session.place import Place, token

T = TypeVar("T")

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""How long the shell waits for a connection, and for an answer."""

REQUEST_ID = "teamroom/request-id"
LISTENER = "teamroom/listener"


class Room:
    """A connected room: its tools and resources as Python calls. Every method raises Failure.

    `listener`: which listener of its member calls, as each call says.
    """

    def __init__(self, client: Client, listener: str | None = None) -> None:
        self._client, self._listener = client, listener

    async def call(self, tool: str, /, request_id: str | None = None, **arguments: Any) -> dict[str, Any]:
        """Call a tool with the arguments that are not None; returns its structured reply.

        The same call with the same `request_id` is carried out once, however often it is sent.
        """
        said = {REQUEST_ID: request_id, LISTENER: self._listener}
        meta: Any = {key: value for key, value in said.items() if value is not None} or None
        given = {name: value for name, value in arguments.items() if value is not None}
        result = await self._client.call_tool(tool, given, meta=meta)
        body = result.structured_content
        if result.is_error:
            raise refusal(body if body and "code" in body else {"code": "invalid", "why": _text(result), "fix": ""})
        return dict(body or {})

    async def read(self, uri: str) -> dict[str, Any]:
        """Read a resource; returns its JSON."""
        result = await self._client.read_resource(uri)
        found = [content for content in result.contents if content.mime_type == "application/json"]
        return dict(json.loads(getattr(found[0], "text", "{}")))


def _text(result: Any) -> str:
    return " ".join(getattr(content, "text", "") for content in result.content)


@contextlib.asynccontextmanager
async def connected(
    place: Place, bearer: str | None = None, answer_seconds: float = ANSWER_SECONDS, listener: str | None = None
) -> AsyncIterator[Room]:
    """The room, connected with the caller's token, or with the one that is given. Raises Failure."""
    url = place.endpoint
    headers = {"Authorization": f"Bearer {bearer or token(place)}"}
    with _failures(url):
        async with (
            http_client(url, headers, httpx2.Timeout(answer_seconds, connect=CONNECT_SECONDS)) as http,
            Client(streamable_http_client(url, http_client=http), mode=LATEST_MODERN_VERSION, cache=None) as client,
        ):
            yield Room(client, listener)


def http_client(
    url: str, headers: Mapping[str, str], timeout: httpx2.Timeout, limits: httpx2.Limits | None = None
) -> httpx2.AsyncClient:
    """An HTTP client that carries a token: to this machine never through a proxy."""
    return httpx2.AsyncClient(
        headers=dict(headers), timeout=timeout, limits=limits or httpx2.Limits(), trust_env=not _is_this_machine(url)
    )


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def _failures(url: str) -> Iterator[None]:
    """What goes wrong on the way, as a Failure; the SDK's task groups wrap it in groups."""
    try:
        yield
    except Exception as error:
        raise _failure(error, url) from None


def _failure(error: BaseException, url: str) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, MCPError):
        data = error.error.data
        body = data if isinstance(data, dict) and "code" in data else None
        return refusal(body) if body else Failure(error.error.message, "Look at the room: teamroom doctor")
    if isinstance(error, httpx2.TransportError):
        return UnreachableError(url)
    return error


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run what a command does with the room."""
    return anyio.run(work)


def ask(place: Place, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """One call of one tool. Raises Failure."""

    async def one_call() -> dict[str, Any]:
        async with connected(place) as room:
            return await room.call(tool, **arguments)

    return run(one_call)
