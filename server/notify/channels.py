"""Channels outside the room: sends one letter to one URL with apprise, in a thread that the server can abandon.

A URL contains secrets, and only apprise gets it. The log lines of apprise and its libraries in these threads are
dropped. Of their exceptions, the room reports only that the delivery failed.
"""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar

from teamroom.server.logs import SILENT_THREADS
from teamroom.server.rules.letters import Letter

T = TypeVar("T")

INSTALL = f"{sys.executable} -m pip install --require-hashes -r requirements-notify.lock"
"""The command that installs apprise; its lock file is in the clone of the release."""

NOT_INSTALLED = "apprise is not installed here"
NOT_UNDERSTOOD = "its URL is not supported"
NOT_TAKEN = "the service did not accept it"
FINAL = frozenset({NOT_INSTALLED, NOT_UNDERSTOOD})
"""Failures that a retry does not fix."""


def is_installed() -> bool:
    """Whether letters can be sent at all."""
    return find_spec("apprise") is not None


def is_understood(url: str) -> bool:
    """Whether apprise supports a URL."""
    return _service(url) is not None


def send(url: str, letter: Letter) -> str:
    """Send a letter; returns "" if the service accepted it, else why not. Blocks until the service answers."""
    try:
        if not is_installed():
            return NOT_INSTALLED
        if (service := _service(url)) is None:
            return NOT_UNDERSTOOD
        import apprise

        channel = apprise.Apprise()
        channel.add(service)
        done = channel.notify(body=letter.body, title=letter.title, body_format=apprise.NotifyFormat.TEXT)
    except Exception:
        return NOT_TAKEN
    return "" if done else NOT_TAKEN


def _service(url: str) -> Any:
    import apprise

    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [logging.NullHandler()], False
    # Without a timeout, apprise stays in this thread. Its thread pool would keep the server from stopping.
    asset = apprise.AppriseAsset(async_mode=False, service_timeout=0, app_id="Teamroom", app_desc="Teamroom")
    return apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)


async def in_thread(work: Callable[[], T], ended: Callable[[], None]) -> T:
    """Run work in a thread, and return its result; `ended` is called when it is over.

    The thread does not keep the process from ending. If the caller stops waiting, the thread goes on.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def finish(result: T) -> None:
        ended()
        if not answer.done():
            answer.set_result(result)

    def run() -> None:
        result = work()
        try:
            loop.call_soon_threadsafe(finish, result)
        except RuntimeError:  # the server ended meanwhile
            return

    threading.Thread(target=run, name=SILENT_THREADS, daemon=True).start()
    return await answer
