"""A receiver of webhooks that starts the agent: it gets each batch of wakes as JSON in a signed POST.

The request is signed as Standard Webhooks has it, so its libraries can check it. A 2xx says that the receiver has
started the agent, and nothing else does: no redirect is followed, and no body is read. All tries of one turn have the
same id, and a further turn for the same wakes has another: a receiver drops what it took before.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.abc
import httpx2

from teamroom.clients.listener.batch import Batch
from teamroom.clients.listener.driver import TurnEnd, Woken
from teamroom.clients.listener.movement import Movement
from teamroom.clients.listener.secret import Ids, random_id, read_secret
from teamroom.clients.session.connection import is_this_machine
from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.terminal import plain

SECRET = "TEAMROOM_WEBHOOK_SECRET"
"""The variable with the secret, if no file is named."""

SECRET_PREFIX = "whsec_"
"""What a secret begins with that is written in Base64, as the libraries of Standard Webhooks want it."""

SECRET_BYTES = 16
"""The shortest secret."""

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 10.0
"""How long a connection and a whole try may take."""

TRIES, AGAIN_SECONDS = 3, 1.0
"""How often a batch is posted in one turn, and the first wait between; each further one is twice as long."""

CALL_SECONDS = 300.0
"""How long after a 2xx the agent may take until its first call."""

AGAIN = frozenset({408, 425, 429})
"""Answers below 500 after which another try can succeed."""

Now = Callable[[], float]
"""The time in seconds since 1970."""


class Webhook:
    """The driver that posts each batch of wakes to a receiver."""

    turn = "the receiver's turn"
    program = "webhook"
    movement: Movement | None = None

    def __init__(self, url: str, key: bytes, now: Now, make_id: Ids = random_id) -> None:
        """Raises Failure if the address is none for a receiver."""
        check_address(url)
        self._url, self._key, self._now, self._make_id = url, key, now, make_id

    @property
    def describes(self) -> str:
        """What a wake does."""
        return f"A wake is posted to {plain(self._shown)}"

    @property
    def _shown(self) -> str:
        """The address without its path and query, which may be a secret of the receiver's."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc}"

    def begin(self, tasks: anyio.abc.TaskGroup, variables: Mapping[str, str]) -> None:
        """Nothing runs without a wake."""

    async def take_turn(self, batch: Batch, woken: Woken) -> TurnEnd:
        """Post the wakes until the receiver takes them, a few times at most."""
        words, id_ = "", f"{batch.member}-{batch.cursor}-{self._make_id()}"
        for number in range(TRIES):
            if number:
                await anyio.sleep(AGAIN_SECONDS * 2 ** (number - 1))
            status, words = await self._post(id_, batch)
            if 200 <= status < 300:
                woken(f"{plain(self._shown)} took them")
                return TurnEnd(0, "the receiver took the wakes", call_seconds=CALL_SECONDS)
            if 0 < status < 500 and status not in AGAIN:
                break
        return TurnEnd(1, f"the receiver did not take the wakes: {words}")

    async def end(self, seconds: float) -> None:
        """It started nothing on this machine."""

    async def _post(self, id_: str, batch: Batch) -> tuple[int, str]:
        """Post once; returns the status of the answer, 0 for none, and in words what went wrong."""
        headers = signed(self._key, id_, int(self._now()), batch.message)
        timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        trusts = not is_this_machine(self._url)
        try:
            with anyio.fail_after(ANSWER_SECONDS):
                async with (
                    httpx2.AsyncClient(timeout=timeout, trust_env=trusts, follow_redirects=False) as http,
                    http.stream("POST", self._url, content=batch.message, headers=headers) as answer,
                ):
                    return answer.status_code, _of_status(answer.status_code)
        except (TimeoutError, httpx2.TimeoutException):
            return 0, f"it did not answer within {ANSWER_SECONDS:.0f} s"
        except httpx2.TransportError as error:
            return 0, f"it cannot be reached ({type(error).__name__})"


def signed(key: bytes, id_: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers of a signed request. `at`: the time in seconds since 1970."""
    digest = hmac.new(key, f"{id_}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "user-agent": "teamroom",
        "webhook-id": id_,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def read_key(file: Path | None, environment: Mapping[str, str]) -> bytes:
    """Return the key of the signatures, from a private file or the environment. Raises Failure."""
    text = read_secret(file, environment, SECRET)
    if text is None:
        raise Failure(
            "A webhook is signed, and no secret is given.",
            f"Name a private file with --secret-file, or set {SECRET}.",
            USAGE,
        )
    key = _decoded(text)
    if len(key) < SECRET_BYTES:
        raise Failure(
            f"The secret has fewer than {SECRET_BYTES} bytes.",
            "Make a longer one, such as: openssl rand -hex 32",
            USAGE,
        )
    return key


def check_address(url: str) -> None:
    """Raise Failure unless an address is one with TLS, or of this machine."""
    if not _is_address(url):
        raise Failure(
            "That is no address for a webhook.",
            "Write it like https://example.com/wake, or http://127.0.0.1:PORT/ on this machine.",
            USAGE,
        )


def _is_address(url: str) -> bool:
    """Whether it is an address with TLS, or of this machine, and without a user."""
    if not url.isprintable() or any(letter.isspace() for letter in url):
        return False
    try:
        parts = urlsplit(url)
        httpx2.URL(url)
        is_port = parts.port != 0
    except (ValueError, httpx2.InvalidURL):
        return False
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_this_machine(url))
    return is_safe and is_port and bool(parts.hostname) and "@" not in parts.netloc


def _decoded(text: str) -> bytes:
    if not text.startswith(SECRET_PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise Failure(
            f"A secret that begins with {SECRET_PREFIX} is written in Base64.", "Correct it.", USAGE
        ) from None


def _of_status(status: int) -> str:
    if 300 <= status < 400:
        return f"it answered {status} and names another address, which is not followed"
    return f"it answered {status}"
