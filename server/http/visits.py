"""The gate of the page: who visits it, from where, and with what; and the headers of every answer to a browser.

A browser sends its session in a cookie, with every request and from wherever a link leads here. So a form counts only
if this room's own page sent it: `Origin` and `Sec-Fetch-Site` say so.
"""

import contextlib
import hashlib
import hmac
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import anyio
from starlette.types import Receive, Scope, Send

from teamroom.server.door.door import Door, UnauthorisedError
from teamroom.server.identity import BROWSER, Caller
from teamroom.server.settings import Settings

logger = logging.getLogger("teamroom.page")

FORM = b"application/x-www-form-urlencoded"

AS_JSON = b"as=json"
"""The parameter with which the page's script asks for data instead of a page."""

FIELDS = 100
"""The most fields of one form, and the most parameters of one address."""

STREAM_PATH = "/changes"
"""Where the page's changes arrive, on one stream for each open page."""

PART_PATH = "/part/"
"""Where the parts of the home page are."""

FETCHED = (STREAM_PATH, PART_PATH)
"""The paths that only the page's own script asks for."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types teamroom",
    )
)
"""The content security policy: nothing from another host, no script in the text, no frame around the page."""

HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),  # without any, browsers hide the origin of a form
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

NO_STORE = (b"cache-control", b"no-store")

HTML = "text/html; charset=utf-8"

COOKIE_MARK = b"the cookie of the page"
MARK_CHARACTERS = 10


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a browser.

    - `form`: the fields of a form; a field can have several values.
    - `caller`: the person who is signed in, if anybody is. `stopped`: why the session opens nothing any longer.
    - `is_private`: nobody on the way can read it: it comes over TLS, or does not leave the machine.
    """

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, list[str]]
    caller: Caller | None
    stopped: UnauthorisedError | None
    is_private: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a browser gets: a body, or a stream of events. `session`: the token of a new session, "" to end it.

    `gzipped`: the body, compressed. Only what everybody may read has it: the length of what is secret would tell of it.
    """

    body: bytes = b""
    status: int = 200
    kind: str = HTML
    headers: tuple[tuple[bytes, bytes], ...] = (NO_STORE,)
    stream: AsyncIterator[bytes] | None = None
    session: str | None = None
    gzipped: bytes | None = None


AnswerVisit = Callable[[Visit], Awaitable[Answer]]
"""The page: answers visits, and shows refusals."""


class ForeignError(Exception):
    """A request that another site sent in the name of this browser."""


@dataclass(frozen=True)
class Visits:
    """Reads who visits, and writes what the page answers.

    `serves` says which paths are the page's. `refuse` shows a refusal that came before the page was asked: an HTTP
    status, a code, why, the fix, and whether the page's script asked.
    """

    answer: AnswerVisit
    refuse: Callable[[int, str, str, str, bool], Answer]
    serves: Callable[[str], bool]
    door: Door
    settings: Settings
    secret: bytes = field(repr=False)

    async def caller_of(self, headers: Mapping[bytes, bytes]) -> tuple[Caller | None, UnauthorisedError | None]:
        """The person whose session a request has, or why it has none. Raises StorageError."""
        token = self._session(headers)
        if token is None:
            return None, None
        try:
            caller = await self.door.identify(token)
        except UnauthorisedError as error:
            return None, error if error.code == "killed" else None
        return (caller, None) if caller.token_kind == BROWSER else (None, None)

    def check_sender(self, method: str, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Refuse what another site sends; a link from there may open a page, and nothing else. Raises ForeignError."""
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        is_own = origin is not None and origin.decode("latin-1") == self._own_origin(headers)
        if origin is not None and not is_own:
            raise ForeignError
        is_foreign = site in (b"cross-site", b"same-site")
        if is_foreign and path.startswith(FETCHED):
            raise ForeignError
        if method == "POST" and (site not in (None, b"same-origin") or (origin is None and site is None)):
            raise ForeignError

    def read(
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        body: bytes,
        caller: Caller | None,
        stopped: UnauthorisedError | None,
    ) -> Visit:
        """A request as the page sees it. Raises ValueError for a form that cannot be read."""
        host = _host(headers)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=FIELDS)
        form: dict[str, list[str]] = {}
        for name, value in parse_qsl(body.decode(), True, True, max_num_fields=FIELDS) if body else ():
            form.setdefault(name, []).append(value)
        is_loopback = host.rpartition(":")[0] in LOOPBACK
        return Visit(
            method=scope["method"],
            path=scope["path"],
            query=dict(query),
            form=form,
            caller=caller,
            stopped=stopped,
            is_private=is_loopback or self._is_secure(headers),
        )

    async def send(
        self, answer: Answer, headers: Mapping[bytes, bytes], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Write an answer with the headers that every one has."""
        more = [*HEADERS, *answer.headers, (b"content-type", answer.kind.encode())]
        if answer.session is not None:
            more.append((b"set-cookie", self._cookie(headers, answer.session)))
        if answer.stream is not None and scope["method"] != "HEAD":
            await _send_stream(answer.stream, more, receive, send)
            return
        body = answer.body
        if answer.gzipped is not None:
            more.append((b"vary", b"accept-encoding"))
            if _takes_gzip(headers):
                more.append((b"content-encoding", b"gzip"))
                body = answer.gzipped
        more.append((b"content-length", str(len(body)).encode()))
        body = b"" if scope["method"] == "HEAD" else body
        with contextlib.suppress(OSError):
            await send({"type": "http.response.start", "status": answer.status, "headers": more})
            await send({"type": "http.response.body", "body": body})

    # -------------------------------------------------------------- the session's cookie

    def _session(self, headers: Mapping[bytes, bytes]) -> str | None:
        """The value of the room's own cookie. What other programs of this host put next to it does not matter."""
        name = self._cookie_name(headers)
        for pair in headers.get(b"cookie", b"").decode("latin-1").split(";"):
            found, _, value = pair.strip().partition("=")
            if found == name:
                return value
        return None

    def _cookie(self, headers: Mapping[bytes, bytes], session: str) -> bytes:
        """The cookie that keeps a session; Lax, so that a link in a letter finds the reader signed in."""
        secure = "; Secure" if self._is_secure(headers) else ""
        seconds = round(self.settings.browser_seconds) if session else 0
        name = self._cookie_name(headers)
        return f"{name}={session}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}".encode()

    def _cookie_name(self, headers: Mapping[bytes, bytes]) -> str:
        """The room's own: cookies ignore ports, and two rooms can have one host."""
        mark = hmac.new(self.secret, COOKIE_MARK, hashlib.sha256).hexdigest()[:MARK_CHARACTERS]
        return f"{'__Host-' if self._is_secure(headers) else ''}teamroom-{mark}"

    # -------------------------------------------------------------- where the request came from

    def _is_secure(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the browser reached the room over TLS: at the public address, behind a proxy."""
        return self.settings.public_url.startswith("https://") and _host(headers) in self.settings.public_hosts

    def _own_origin(self, headers: Mapping[bytes, bytes]) -> str:
        return f"{'https' if self._is_secure(headers) else 'http'}://{_host(headers)}"


async def _send_stream(
    stream: AsyncIterator[bytes], headers: list[tuple[bytes, bytes]], receive: Receive, send: Send
) -> None:
    """Write a stream of events until it ends or the browser leaves."""
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async with anyio.create_task_group() as group:

        async def until_left() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        group.start_soon(until_left)
        with contextlib.suppress(OSError):
            async for frame in stream:
                await send({"type": "http.response.body", "body": frame, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        group.cancel_scope.cancel()


def _takes_gzip(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser says that it takes gzip; one that limits it with a weight gets the file as it is."""
    return b"gzip" in re.split(rb"\s*,\s*", headers.get(b"accept-encoding", b"").strip().lower())


def _host(headers: Mapping[bytes, bytes]) -> str:
    return headers.get(b"host", b"").decode("latin-1").lower()
