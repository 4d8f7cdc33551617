"""Uvicorn's HTTP protocol, with a bound on all that a client can send before a token is looked at.

Uvicorn parses whatever arrives and keeps what comes of it. Here, a request line, headers, trailers and whatever else is
not body have a longest length and number. Requests are parsed one at a time: what a client sends beyond the one that is
being answered waits as bytes, and is not read from the network before. A trailer is never a header. An upgrade to
another protocol is not made. Nothing of it writes a line into the log for each request.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from teamroom.server.http.connections import GRACE_SECONDS, STATE_KEY, Connection, Connections
from teamroom.server.http.strangers import Rejection

HEAD_BYTES = 32_768
"""The longest head of a request: its line and headers. As much may come at the end of its body, and is thrown away."""

HEADERS = 128
"""Headers that a request may have."""

PARSED_BYTES = 64
"""What is parsed at once at least, up to the end of a head: so few requests of one packet are taken in too early."""

THROWN_AWAY_BYTES = 4 << 20
"""What is still taken in after a refusal, so that the refusal is not lost in a reset."""

NOT_HTTP = Rejection(
    400, "invalid", "This is not a request of HTTP/1.1.", "Send one: a line, headers, and a body of the stated length."
)
HEAD_TOO_LARGE = Rejection(431, "too_large", "The headers are too long.", "Send at most 32 KiB of headers.")
TOO_MANY_HEADERS = Rejection(
    431, "too_large", f"There are more than {HEADERS} headers.", f"Send at most {HEADERS} headers."
)
TOO_MUCH_BESIDES = Rejection(
    431, "too_large", "The trailers or extensions of the body are too long.", "Send the body without trailers."
)
NO_UPGRADE = Rejection(
    400,
    "invalid",
    "The room speaks HTTP/1.1 only, and this request asks for another protocol.",
    "Send no Upgrade header.",
)


class _RejectedError(Exception):
    """Ends the parsing of a request; the parser passes it on as its context."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.why)
        self.rejection = rejection


class Protocol(HttpToolsProtocol):
    """One connection. Each request finds it as `scope["state"]["connection"]`."""

    def __init__(self, connections: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._connections = connections
        self._is_in_head = False
        self._is_deaf = False
        self._head_bytes = 0
        self._loose_bytes = 0
        """Bytes since the last head or piece of a body that belong to neither, without the rest of that packet."""
        self._thrown_away = 0
        self._unparsed = b""
        self._rejection: Rejection | None = None
        """What is said once the request before it is answered."""
        self._end: asyncio.TimerHandle | None = None

    # -------------------------------------------------------------- what the event loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, and give its first request a time to come."""
        self.connection = Connection(transport)
        self._connections.add(self.connection)
        self.app_state = {**self.app_state, STATE_KEY: self.connection}
        self._line = _Line(transport, self)
        super().connection_made(self._line)
        self._close_in(self._connections.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it, with all that it sent: what refers to itself is collected late."""
        self._connections.remove(self.connection)
        self._keep_open()
        self._let_go()
        super().connection_lost(exc)
        self._line.detach()
        self.cycle = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Parse what came, as far as the room is ready for it."""
        if self._is_deaf or self._rejection is not None:
            self._throw_away(len(data))
            return
        self._unparsed = self._unparsed + data if self._unparsed else data
        self.parse()

    def shutdown(self) -> None:
        """The server stops: nothing is waited for that would be thrown away."""
        if self._is_deaf:
            self.connection.transport.abort()
        else:
            super().shutdown()

    def parse(self) -> None:
        """Parse up to the end of one request; the rest waits until that is answered, and so does the network."""
        if self._is_deaf or self.connection.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        data, at = memoryview(self._unparsed), 0
        while at < len(data) and self._is_ready:
            at += self._feed(data[at : self._slice_end(at)])
        if self._is_deaf or self._rejection is not None:
            return
        self._unparsed = self._unparsed[at:]
        if self._unparsed:
            self.connection.transport.pause_reading()
        elif not self.flow.read_paused:
            self.connection.transport.resume_reading()
        if self._end is None and self._is_in_head:
            self._close_in(self._connections.head_seconds)
        elif self._end is None and self._is_idle:
            self._close_in(self.timeout_keep_alive)

    # -------------------------------------------------------------- what the parser calls

    def on_message_begin(self) -> None:
        """A request begins. If its head is not there as a whole, the rest of it has a time to come: see `parse`."""
        super().on_message_begin()
        self._is_in_head, self.connection.has_arrived = True, False
        self._head_bytes = self._loose_bytes = 0
        self._keep_open()

    def on_url(self, url: bytes) -> None:
        """A part of its address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; or a trailer, which is none (RFC 9110, section 6.5).

        Uvicorn's own method is not called: eight calls for each request of a program would cost as much as its body.
        """
        if not self._is_in_head:
            return
        if len(self.headers) >= HEADERS:
            raise _RejectedError(TOO_MANY_HEADERS)
        self._count(len(name) + len(value))
        name, value = name.lower(), value.strip(b" \t")  # white space around a value is not part of it
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """It is answered from now on, with its body or before."""
        if self.parser.should_upgrade() and any(map(_announces_body, self.headers)):
            raise _RejectedError(NO_UPGRADE)  # the parser would take the body for the other protocol
        self._is_in_head, self._loose_bytes = False, 0
        self._keep_open()
        self.connection.is_checked = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        self._loose_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        self._keep_open()
        self.connection.has_arrived = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It is answered: the next one is parsed, or the rest of this one thrown away."""
        self.connection.is_checked = False
        super().on_response_complete()
        if self._is_deaf:
            return
        if self._rejection is not None and self.cycle.response_complete:
            self._reject(self._rejection)
        elif self._unparsed:
            self.loop.call_soon(self.parse)
        elif (self.cycle.more_body or self.connection.caller is None) and not self.transport.is_closing():
            self._close_in(self._connections.head_seconds)  # a stranger is left as long for its next request

    # -------------------------------------------------------------- bounds

    @property
    def _is_ready(self) -> bool:
        """Whether there is a use for more bytes: no request waits for its answer, and no body to be read."""
        is_answered = self.cycle is None or self.cycle.response_complete or self.cycle.more_body
        return is_answered and not self.flow.read_paused and not self._is_deaf and self._rejection is None

    @property
    def _is_idle(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete and not self._is_in_head

    def _slice_end(self, at: int) -> int:
        end = self._unparsed.find(b"\r\n\r\n", at + PARSED_BYTES)
        return len(self._unparsed) if end < 0 else end + 4

    def _feed(self, data: memoryview) -> int:
        """Parse so much; returns how much of it was taken."""
        self._loose_bytes += len(data)
        taken = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            taken = max(1, upgrade.args[0])
        except httptools.HttpParserError as error:
            found = error.__context__
            self._reject(found.rejection if isinstance(found, _RejectedError) else NOT_HTTP)
        else:
            if self._loose_bytes > HEAD_BYTES:
                self._reject(HEAD_TOO_LARGE if self._is_in_head else TOO_MUCH_BESIDES)
        return taken

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            raise _RejectedError(HEAD_TOO_LARGE)

    def _reject(self, rejection: Rejection) -> None:
        """Say why, after the answer that is due before it, and close."""
        if self._is_deaf:
            return
        cycle = self.cycle
        if cycle is not None and not cycle.more_body and not cycle.response_complete:
            self._rejection, self._unparsed = rejection, b""
            return
        self._connections.rejections.note(rejection.status, rejection.code)
        if cycle is not None and cycle.more_body:  # what is rejected is the rest of this request
            cycle.disconnected = True
            cycle.message_event.set()
        self._line.flush()
        if cycle is None or not cycle.more_body or not cycle.response_started:
            self.connection.transport.write(rejection.answer)
        self.end()

    def end(self) -> None:
        """Say that no more comes; take in for a while what the client still sends, so that it reads what was said."""
        self._line.flush()
        self._let_go()
        self.connection.is_checked = False
        transport = self.connection.transport
        if transport.is_closing():
            return
        try:
            transport.write_eof()
        except OSError:  # the client is gone
            transport.abort()
            return
        transport.resume_reading()
        self._close_in(GRACE_SECONDS)

    def _let_go(self) -> None:
        """Keep nothing of what was sent."""
        self._is_deaf, self._unparsed, self.url, self.headers = True, b"", b"", []
        self.pipeline.clear()
        if self.cycle is not None:
            self.cycle.body = bytearray()

    @property
    def is_deaf(self) -> bool:
        """Whether all that still comes is thrown away."""
        return self._is_deaf

    @property
    def has_more_to_take(self) -> bool:
        """Whether the client has sent, or is going to send, what nobody will read."""
        return bool(self._unparsed) or self._is_in_head or (self.cycle is not None and self.cycle.more_body)

    def _throw_away(self, size: int) -> None:
        self._thrown_away += size
        if self._thrown_away > THROWN_AWAY_BYTES:
            self.connection.transport.abort()

    def _close_in(self, seconds: float) -> None:
        self._keep_open()
        self._end = asyncio.get_running_loop().call_later(seconds, self.connection.transport.close)

    def _keep_open(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None


def _announces_body(header: tuple[bytes, bytes]) -> bool:
    name, value = header
    return name == b"transfer-encoding" or (name == b"content-length" and value != b"0")


class _Line(asyncio.Transport):
    """The transport as uvicorn sees it: it is read as far as the protocol is ready, and closed without a reset.

    The head of an answer is sent together with what follows in the same turn of the event loop: a packet of its own
    would cost as much as all of the answer.
    """

    def __init__(self, transport: asyncio.Transport, protocol: Protocol) -> None:
        self._transport = transport
        self._protocol: Protocol | None = protocol
        self._kept = b""
        """What was written first in this turn of the event loop, and is not sent yet."""

    def detach(self) -> None:
        """The connection is gone."""
        self._protocol, self._kept = None, b""

    def write(self, data: Any) -> None:
        """Send bytes, unless it was said that no more come."""
        if self._protocol is None or self._protocol.is_deaf:
            return
        if self._kept:
            data, self._kept = self._kept + data, b""
            self._transport.write(data)
        else:
            self._kept = data
            self._protocol.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what is kept."""
        kept, self._kept = self._kept, b""
        if kept:
            self._transport.write(kept)

    def close(self) -> None:
        """Close once all is sent; what the client still sends is taken in for a while."""
        if self._protocol is None or self.is_closing():
            return
        self.flush()
        if self._protocol.has_more_to_take:
            self._protocol.end()
        else:
            self._transport.close()

    def is_closing(self) -> bool:
        """Whether no further request is answered here."""
        return self._protocol is None or self._protocol.is_deaf or self._transport.is_closing()

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on, and first what has been read before."""
        if self._protocol is not None:
            self._protocol.loop.call_soon(self._protocol.parse)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection."""
        return self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """How many bytes wait to be sent."""
        return len(self._kept) + self._transport.get_write_buffer_size()
