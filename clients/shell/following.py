"""Views that follow the room: redrawn in place on a terminal; in a pipe, each change once as a line.

Ctrl-C or SIGTERM ends them, and a reader that closes the pipe. While the room is away, they wait for it. What they
cannot read any more, such as after a kill, ends them with the refusal.
"""

import contextlib
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from teamroom.clients.session.blocking import BlockingRoom, connected
from teamroom.clients.session.failure import UnreachableError
from teamroom.clients.session.place import Place
from teamroom.clients.session.started import collect_garbage
from teamroom.clients.session.terminal import Styled, is_terminal, plain, print_json, print_line, say
from teamroom.clients.session.times import zone

V = TypeVar("V")

LOOK_SECONDS = 1.0
"""How often the room is asked whether its log grew."""

AGAIN_SECONDS = 15.0
"""How often a view is read although the log did not grow: presence and leases change with time."""

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
"""Show the terminal's second screen without a cursor, and go back to the first."""

TOP, REST_OF_LINE, REST = "\x1b[H", "\x1b[K", "\x1b[J"
"""Go to the top, and clear the rest of a line or of the screen."""

Changes = Mapping[str, tuple[Any, str]]
"""What a pipe shows of a view: by key, what is compared, and the line."""


@dataclass(frozen=True)
class View(Generic[V]):
    """Something to follow: how it is read, how a terminal draws it, and which lines a pipe shows of it.

    `gone`: what a pipe shows of a key that is there no more.
    """

    title: str
    read: Callable[[BlockingRoom], V]
    draw: Callable[[V], None]
    changes: Callable[[V], Changes]
    gone: Callable[[BlockingRoom, str], tuple[Any, str] | None] = lambda room, key: None


def follow(place: Place, view: View[V], as_json: bool) -> None:
    """Show a view and each change of it, across restarts of the room, until a signal ends it. Raises Failure."""
    collect_garbage()
    in_place = is_terminal() and not as_json and os.environ.get("TERM", "dumb") != "dumb"
    with _ended_by_sigterm(), _screen() if in_place else contextlib.nullcontext() as screen:
        show = _Lines(view, as_json) if screen is None else _Drawn(view, screen)
        _watch(place, view, show)


def _watch(place: Place, view: View[V], show: "_Lines[V] | _Drawn[V]") -> None:
    """Read a view whenever the log grew or some time passed, and show it."""
    is_away = was_there = False
    while True:
        try:
            with connected(place) as room:
                cursor, read_at = _end_of_log(room), time.monotonic()
                show.show(room, view.read(room))
                was_there, is_away = True, False
                while True:
                    time.sleep(LOOK_SECONDS)
                    grown = _end_of_log(room, cursor)
                    if grown != cursor or time.monotonic() - read_at >= AGAIN_SECONDS:
                        cursor, read_at = grown, time.monotonic()
                        show.show(room, view.read(room))
                    else:
                        show.refresh()
        except UnreachableError as failure:
            if not was_there:
                raise
            if not is_away:
                show.away(f"{failure.why} Waiting until it answers.")
            is_away = True
            time.sleep(LOOK_SECONDS)


def _end_of_log(room: BlockingRoom, after: int | None = None) -> int:
    """Return the number of the newest entry that the stream shows, of those that one page has."""
    uri = "teamroom://stream" if after is None else f"teamroom://stream/{after}"
    return int(room.read(uri)["cursor"])


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """End like Ctrl-C when SIGTERM comes, so that the terminal is restored. Only the main thread gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# ------------------------------------------------------------------ in a pipe


class _Lines(Generic[V]):
    """Shows each change once, as a line or as JSON."""

    def __init__(self, view: View[V], as_json: bool) -> None:
        self._view, self._as_json = view, as_json
        self._shown: dict[str, Any] = {}

    def show(self, room: BlockingRoom, found: V) -> None:
        """Print what is new or has changed, then what is there no more."""
        changes = self._view.changes(found)
        for key, (value, line) in changes.items():
            if key not in self._shown or self._shown[key] != value:
                self._print(value, line)
        for key in [key for key in self._shown if key not in changes]:
            if (last := self._view.gone(room, key)) is not None:
                self._print(*last)
        self._shown = {key: value for key, (value, _) in changes.items()}

    def refresh(self) -> None:
        """Show nothing: nothing changed."""

    def away(self, words: str) -> None:
        """Say once that the room is away."""
        say(f"teamroom: {plain(words)}")

    def _print(self, value: Any, line: str) -> None:
        if self._as_json:
            print_json(value)
        else:
            print(line, flush=True)


# ------------------------------------------------------------------ on a terminal


class Frame(io.StringIO):
    """Standard output while a frame is drawn: it says that it is a terminal, as the real one is."""

    def isatty(self) -> bool:
        """Yes."""
        return True


class _Drawn(Generic[V]):
    """Draws a view over the one before."""

    def __init__(self, view: View[V], screen: Any) -> None:
        self._view, self._screen = view, screen
        self._found: V | None = None
        self._words = ""
        self._last = ""

    def show(self, room: BlockingRoom, found: V) -> None:
        """Draw a view that was read."""
        self._found, self._words = found, f"as of {time.strftime('%H:%M:%S')} {zone()}; Ctrl-C ends it"
        self.refresh()

    def refresh(self) -> None:
        """Draw the same view again if the terminal has another size now, or if time changed it."""
        if self._found is None:
            return
        import shutil

        size = shutil.get_terminal_size()
        frame = Frame()
        with contextlib.redirect_stdout(frame):
            print_line(Styled((self._view.title, "bold"), (f"  {self._words}", "dim")), is_cut=True)
            self._view.draw(self._found)
        lines = frame.getvalue().splitlines()
        if len(lines) > size.lines - 1:
            left = len(lines) - (size.lines - 2)
            lines = [*lines[: size.lines - 2], f"… {left:,} more lines; make the terminal taller"[: size.columns]]
        text = TOP + "".join(f"{line}{REST_OF_LINE}\r\n" for line in lines) + REST
        if text != self._last:
            self._screen.write(text)
            self._screen.flush()
        self._last = text

    def away(self, words: str) -> None:
        """Draw the last view with the room's absence above it."""
        self._words = plain(words)
        self.refresh()


@contextlib.contextmanager
def _screen() -> Iterator[Any]:
    """Show the terminal's second screen until the block ends."""
    out = sys.stdout
    out.write(ENTER)
    out.flush()
    try:
        yield out
    finally:
        out.write(LEAVE)
        out.flush()
