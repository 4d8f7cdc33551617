"""The event streams of older clients, with as few tasks as they need.

The SDK answers them with sse-starlette, which runs five tasks for each stream: an idle listener would hold twice the
memory of one of the newest protocol. Here a stream is one task, next to the one in which the SDK fills it. What is sent
stays the same.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import anyio
from mcp.server import streamable_http
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.event import ensure_bytes
from starlette.types import Receive, Scope, Send

from teamroom.server.http.connections import connection_of


class EventStream(EventSourceResponse):
    """Sends what comes out of a stream, and a ping whenever nothing came for a while; ends with its client.

    The room ends it as any other stream when it stops, so nothing here looks for that.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        async with anyio.create_task_group() as tasks:
            if self.data_sender_callable is not None:
                tasks.start_soon(self.data_sender_callable)
            if (connection := connection_of(scope)) is None:
                tasks.start_soon(_wait_for_end, receive, tasks.cancel_scope.cancel)
                await self._send_all(send)
            else:
                with connection.lost_calls(tasks.cancel_scope.cancel):
                    await self._send_all(send)
            tasks.cancel_scope.cancel()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        events, is_over = aiter(self.body_iterator), False
        while not is_over:
            event = None
            with anyio.move_on_after(self.ping_interval):
                try:
                    event = await anext(events)
                except StopAsyncIteration:
                    is_over = True
            if not is_over:
                sent = ensure_bytes(_make_ping(self.sep) if event is None else event, self.sep)
                await send({"type": "http.response.body", "body": sent, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _make_ping(sep: str) -> ServerSentEvent:
    return ServerSentEvent(comment=f"ping - {datetime.now(UTC)}", sep=sep)


async def _wait_for_end(receive: Receive, left: Callable[[], object]) -> None:
    """Call a function once the client of a request that came on no connection of this server is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    left()


def use_lean_streams() -> None:
    """Let the SDK answer older clients with these streams. It has no setting for that; a test checks that it does."""
    streamable_http.EventSourceResponse = EventStream  # type: ignore[attr-defined]
