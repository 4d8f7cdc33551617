"""`teamroom up`: serves the folder's room until a signal ends it. The first run creates the room.

`teamroom demo` serves its room in the same way, on a clock of its own, with its story next to the server.
"""

import asyncio
import contextlib
import errno
import gc
import getpass
import json
import re
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import ValidationError

from teamroom.clients.local.demo.mark import forget_demo
from teamroom.clients.session.connection import Connection
from teamroom.clients.session.failure import USAGE, Failure, UnreachableError
from teamroom.clients.session.place import is_name
from teamroom.clients.session.progress import progress
from teamroom.clients.session.started import collect_garbage
from teamroom.server import logs
from teamroom.server.announcement import announce
from teamroom.server.clock import Clock, rfc3339, steady_clock, wall_clock
from teamroom.server.http.listening import listen
from teamroom.server.policy import SettingsError
from teamroom.server.private import NotPrivateError, write_private
from teamroom.server.record.backups import restore_command, restore_database_command
from teamroom.server.rules.names import find_reserved_word, tidy_separators
from teamroom.server.rules.wrong_values import say_wrong
from teamroom.server.settings import KEPT_PORT, Settings, kept_port, load
from teamroom.server.store import folder as data_folder
from teamroom.server.store.engine import DamagedError, NewerRoomError, StorageError

if TYPE_CHECKING:
    from teamroom.server.app import Room

NAMELESS_OWNER = "host"
"""The first owner's name if the user's name is not a valid one."""

HEALTH_SECONDS = 1.0

COLLECTED_EVERY = (5_000, 5, 200)
"""Thresholds of garbage collection, which stops every thread for about 2 µs for each object that it looks at.

It looks at that many new objects at once, and at five times as many each fifth time. At all objects it looks after as
many as before; with a thousand connections, these take half a second. A call leaves it nothing.
"""


@dataclass(frozen=True)
class Opened:
    """A running room: its address and its folder, who owns it if this run created it, and where it was if it moved.

    `sign_in`: a link for its first owner, who has not signed in yet; only for a terminal, because it is a secret.
    """

    url: str
    folder: Path
    new_owner: str | None
    former_url: str | None
    members_url: str
    sign_in: str | None


@dataclass(frozen=True)
class Clocks:
    """The clocks that a room runs on, as `Room` takes them; by default the machine's."""

    wall: Clock = wall_clock
    steady: Clock = steady_clock
    awake: Clock | None = None


Beside = Callable[["Room"], Awaitable[None]]
"""Runs next to the server, on its event loop, from when the room answers. The server stops when it returns."""


def up(
    folder: Path,
    port: int | None,
    owner: str | None,
    opened: Callable[[Opened], None],
    given: Mapping[str, str] = MappingProxyType({}),
    *,
    clock: Clock = wall_clock,
) -> None:
    """Serve the folder's room until SIGINT or SIGTERM. Calls `opened` once the room answers. Raises Failure.

    `given`: further settings by name, in place of those of the folder and the environment.
    """

    def really_opened(room: Opened) -> None:
        forget_demo(room.folder)
        opened(room)

    with failing_in_words(folder):
        settings = _settings(folder, port, given)
    in_database = bool(settings.database.get_secret_value())
    with failing_in_words(folder, in_database=in_database):
        is_new = not in_database and not (folder / data_folder.DATABASE).exists()
        serve_folder(folder, settings, owner_name(owner, is_new=is_new), really_opened, Clocks(clock))


def serve_folder(
    folder: Path,
    settings: Settings,
    owner: str,
    opened: Callable[[Opened], None],
    clocks: Clocks,
    beside: Beside | None = None,
) -> None:
    """Serve the folder's room until a signal, or the end of `beside`. A signal raises SystemExit with code 0.

    Raises what `failing_in_words` words.
    """
    logs.configure(settings.log_format, settings.log_level, logs.own_file(folder))
    data_folder.make_private(folder)
    listener, settings = _listen(folder, settings)
    with contextlib.closing(listener), data_folder.locked(folder, settings.url), _ended_by_signals():
        from teamroom.server.app import Room  # only now: it takes longer than all else, and clients already wait

        room = Room(folder, settings, clocks.wall, steady=clocks.steady, awake=clocks.awake)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(room, listener, owner, opened, beside))


@contextlib.contextmanager
def failing_in_words(folder: Path, *, in_database: bool = False) -> Iterator[None]:
    """Raise what keeps a folder's room from being served as a Failure, with its fix.

    `in_database`: the room is in PostgreSQL.
    """
    try:
        yield
    except SettingsError as error:
        raise Failure(str(error), "Correct it, then start again. `teamroom doctor` shows every value.") from None
    except data_folder.FolderError as error:
        raise Failure(str(error), "Do that, then start again. Or choose another folder with --data.") from None
    except NewerRoomError as error:
        raise Failure(str(error), "Install the newer release, or open another folder with --data.") from None
    except DamagedError as error:
        if in_database:
            raise Failure(f"The room's database is damaged: {error}.", restore_database_command(folder)) from None
        raise Failure(f"{folder / data_folder.DATABASE} is damaged: {error}.", restore_command(folder)) from None
    except StorageError as error:
        raise Failure(
            f"The room's database cannot be used: {error}",
            "Check it with `teamroom doctor`. If it is damaged, restore a backup.",
        ) from None
    except NotPrivateError as error:
        raise Failure(f"{error}.", error.fix) from None
    except BrokenPipeError:  # nobody reads what this program prints, and the room is open
        raise
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise Failure(f"The room cannot be opened: {error.strerror}{where}.", "Fix that, then start again.") from None


async def _serve(
    room: "Room", listener: socket.socket, owner: str, opened: Callable[[Opened], None], beside: Beside | None
) -> None:
    """Open and serve the room. A signal that comes before it is served also closes it: its threads would stay."""
    from teamroom.server.web import serve

    try:
        with progress("Backing up", "Verifying", "Rebuilding") as reports:
            token = await room.open(owner, reports)
        if room.store.damage is not None:
            print(f"The room's database is damaged, so the room is read-only: {room.store.damage}.", file=sys.stderr)
            print(room.remedy(), file=sys.stderr)
        sign_in = await room.offer_sign_in() if beside is None and sys.stdout.isatty() else None
        async with contextlib.AsyncExitStack() as announcing:
            stop = asyncio.Event() if beside is not None else None

            def is_open() -> None:
                collect_garbage()
                gc.set_threshold(*COLLECTED_EVERY)
                since, log = rfc3339(room.clock.wall()), logs.own_file(room.folder)
                announcing.enter_context(announce(room.folder, room.settings.url, since, log))
                former_url = _keep_port(room)
                new_owner, settings = owner if token is not None else None, room.settings
                opened(Opened(settings.url, room.folder, new_owner, former_url, settings.members_url, sign_in))
                if beside is not None and stop is not None:
                    companion = asyncio.create_task(_run_beside(beside, room, stop))
                    announcing.push_async_callback(_end_companion, companion)

            await serve(room, listener, is_open, stop, on_own_socket=True)
    finally:
        await room.close()


async def _run_beside(beside: Beside, room: "Room", stop: asyncio.Event) -> None:
    """Run what is next to the server, then stop the server, however it ended."""
    try:
        await beside(room)
    finally:
        stop.set()


async def _end_companion(companion: asyncio.Task[None]) -> None:
    """End what is next to the server, which has stopped. Raises what it raised."""
    companion.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await companion


def _keep_port(room: "Room") -> str | None:
    """Keep the room's port for its next start; returns the room's former address if it moved."""
    settings, former = room.settings, kept_port(room.folder)
    if former == settings.port:
        return None
    write_private(room.folder / KEPT_PORT, f"{settings.port}\n")
    return None if former is None else settings.model_copy(update={"port": former}).url


def _settings(folder: Path, port: int | None, given: Mapping[str, str]) -> Settings:
    settings, options = load(folder), {**given, **({} if port is None else {"port": port})}
    if not options:
        return settings
    try:
        return Settings.model_validate({**settings.model_dump(), **options})
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        option = f"--port {port}" if name == "port" else f"--{name.replace('_', '-')}"
        fix = "Choose a port up to 65535." if name == "port" else "Correct it, then start again."
        raise Failure(f"{option}: {say_wrong(fault)}", fix, USAGE) from None


def _listen(folder: Path, settings: Settings) -> tuple[socket.socket, Settings]:
    try:
        return listen(settings)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise Failure(
                f"The room cannot listen on {settings.host}:{settings.port}: {error.strerror}.",
                "Choose another with --port N, or host and port in room.toml.",
            ) from None
        with data_folder.locked(
            folder, settings.url
        ):  # fails with the name of this folder's own server, if that is the one
            raise Failure(
                f"Port {settings.port} is in use by {_who_answers(settings.url)}.",
                _how_to_listen(folder, settings.port),
            ) from None


def _how_to_listen(folder: Path, port: int) -> str:
    """Return what to do about a taken port. If the room had it, members' harnesses send their tokens there."""
    if kept_port(folder) != port:
        return "Choose another: `teamroom up --port N` (0 finds a free one), or port = N in room.toml."
    return (
        "The room's members call it at this port, so end that program, then start again. If you do not know it, give "
        "each member whose harness called it a new token: `teamroom enroll NAME --rotate`. "
        "To move the room: `teamroom up --port N` (0 finds a free one), then change the address in every config."
    )


def _who_answers(url: str) -> str:
    try:
        with Connection(url, HEALTH_SECONDS) as connection:
            is_room = json.loads(connection.get("/healthz").body) == {"ok": True}
    except (UnreachableError, ValueError):
        is_room = False
    return "a room with another data folder" if is_room else "another program"


def owner_name(owner: str | None, *, is_new: bool = True) -> str:
    """Return the first owner's name: as given, else the user's name made valid. Raises Failure.

    `is_new`: the room does not exist yet. The owner of an older room may have a name that a new one may not have.
    """
    if owner is not None:
        if not _is_free_name(owner):
            raise Failure(
                f"--owner {owner!r} is not a valid name, or is reserved. Use at most 32 letters, digits and . _ -",
                "Choose another name.",
                USAGE,
            )
        if is_new and (tidy := tidy_separators(owner)) != owner:
            raise Failure(
                f"--owner {owner!r} ends in a separator, or has two in a row, so it looks like {tidy!r}.",
                f"Choose a name with single separators between letters and digits, such as {tidy!r}.",
                USAGE,
            )
        return owner
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = ""
    name = tidy_separators(tidy_separators(re.sub(r"[^A-Za-z0-9._-]+", "-", user))[:32])
    return name if _is_free_name(name) else NAMELESS_OWNER


def _is_free_name(name: str) -> bool:
    return is_name(name) and find_reserved_word(name) is None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Exit with code 0 on SIGINT and SIGTERM. Uvicorn raises them again after it has shut down."""

    def end(number: int, frame: Any) -> NoReturn:
        raise SystemExit(0)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
