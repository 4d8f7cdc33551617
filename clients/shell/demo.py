"""The demo: a real room with five scripted agents, in a folder that goes when it ends."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.place import OWNER_TOKEN
from teamroom.clients.session.program import printed
from teamroom.clients.session.terminal import (
    Styled,
    is_terminal,
    plain,
    print_hanging,
    print_json,
    print_line,
    say,
)
from teamroom.clients.session.times import day_and_time, with_local_times
from teamroom.clients.shell.app import Json, command
from teamroom.clients.shell.joining import how_claude_joins
from teamroom.clients.shell.overnight import show
from teamroom.server.clock import WallTime, rfc3339

if TYPE_CHECKING:
    from teamroom.clients.local.demo.perform import Host
    from teamroom.clients.local.up import Opened

SECTION = "The room"

NAME_CELLS = 10
"""The width of the column with the members' names."""

ENTRY = "teamroom-demo"
"""The name of the demo in the config of the visitor's harness: one of a real room stays as it is."""


@command(SECTION)
def demo(
    speed: Annotated[
        float, typer.Option("--speed", metavar="N", min=0, max=1000, help="Twice as fast with 2; 0 waits for nothing.")
    ] = 1.0,
    stay: Annotated[
        bool, typer.Option("--stay", help="With --speed 0, serve the room after the story until Ctrl-C too.")
    ] = False,
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65_535, help="The port. The default 0 takes a free one.")
    ] = 0,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="A folder for the demo's room, which is kept. Never a real room's."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in your browser.")] = False,
    json: Json = False,
) -> None:
    """Show five scripted agents at work in a temporary room. Their hour takes about 20 seconds.

    Afterwards the room goes on at the pace of the clock, until Ctrl-C. No other room is touched.
    """
    from teamroom.clients.local.demo.perform import Plan, perform

    if sys.stderr.isatty():
        say("Opening a room for the demo (a few seconds)")
    folder = None if data is None else data.expanduser().absolute()
    plan = Plan(folder, port, speed, stays=stay or speed > 0)
    host: Host = Program(open_) if json else Screen(open_)
    try:
        perform(plan, host)
    finally:
        if host.has_opened:
            say(_farewell(folder))


def first_line(room: "Opened", options: Mapping[str, str]) -> str:
    """Return the line that is printed first: how the visitor gets into the room. `options` name it on a command line.

    The link is a secret, but one of a room that holds nothing and ends with this command.
    """
    if room.sign_in is None:
        return f"See the room at {room.url} in a second terminal: {printed('overnight --follow', options)}"
    return f"Open the room's page, once, within ten minutes: {room.sign_in}"


def _open_page(link: str | None) -> None:
    """Open the sign-in link in the default browser, or say why not."""
    if (why := _why_no_browser()) is not None or link is None:
        say(f"No browser is opened: {why or 'the room has no page for people'}.")
        return
    from threading import Thread

    opening = Thread(target=_open, args=(link,), daemon=True)  # some browsers keep the terminal until they end
    opening.start()


def _open(link: str) -> None:
    import webbrowser

    if not webbrowser.open(link):
        say("No browser is opened: this system has none that it knows.")


def _why_no_browser() -> str | None:
    if not is_terminal():
        return "this is no terminal"
    has_display = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return None if has_display else "this terminal has no display"


def _farewell(folder: Path | None) -> str:
    if folder is None:
        return "The demo's room has stopped, and its folder is removed."
    return f"The demo's room has stopped. It is kept in {plain(str(folder))} until the next demo there."


def _options(folder: Path, url: str) -> dict[str, str]:
    """Return the options that name the room in another terminal, also in one where a variable names another room."""
    options = {"--data": str(folder)}
    return {**options, "--url": url} if os.environ.get("TEAMROOM_URL") else options


class Screen:
    """Tells the demo to a person, as it happens."""

    def __init__(self, opens_page: bool = False) -> None:
        self.has_opened, self._opens_page = False, opens_page
        self._options: Mapping[str, str] = {}

    def opened(self, room: "Opened") -> None:
        """Print the way in first."""
        self.has_opened, self._options = True, _options(room.folder, room.url)
        print_line(Styled(first_line(room, self._options)), is_whole=True)
        print(flush=True)
        if self._opens_page:
            _open_page(room.sign_in)

    def begin(self, name: str, title: str, at: float) -> None:
        """Print the heading of a scene."""
        _, clock = day_and_time(rfc3339(WallTime(at))).split()
        print_line(Styled((clock, "dim"), "  ", (title, "bold")))
        sys.stdout.flush()

    def line(self, who: str, words: str) -> None:
        """Print what a member says or meets."""
        name = f"@{who}" if who else ""
        print_hanging(Styled("  ", (name.ljust(NAME_CELLS), "cyan")), Styled(with_local_times(plain(words))))
        sys.stdout.flush()

    def invite(self, words: str, command: str) -> None:
        """Print what the visitor may do, and the command for it."""
        print_line(Styled((f"  {words}, on the page or in a second terminal:", "bold")))
        print_line(Styled(f"  {printed(command, self._options)}"), is_whole=True)
        sys.stdout.flush()

    def night(self, report: dict[str, Any]) -> None:
        """Print the report as `overnight` does."""
        show(report, self._options)
        sys.stdout.flush()

    def end(self, facts: Mapping[str, Any]) -> None:
        """Leave a blank line after the scene."""
        print(flush=True)

    def over(self, url: str, guest: str, token_file: Path, stays: bool) -> None:
        """Print the line with which the visitor's agent joins, last."""
        if stays:
            print_line(Styled("From here on, the room's clock is yours. Press Ctrl-C to stop it."))
        else:
            print_line(Styled("This room ends now. With --stay, it goes on until Ctrl-C."))
        print_line(Styled(f"Your own agent joins as @{guest} with this line, in the terminal that it starts in:"))
        print_line(Styled(how_claude_joins(ENTRY, url, token_file)), is_whole=True)
        sys.stdout.flush()


@dataclass
class Program:
    """Tells the demo to a program: one JSON object a line, each with an `event`."""

    opens_page: bool
    has_opened: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    scene: dict[str, Any] = field(default_factory=dict)

    def opened(self, room: "Opened") -> None:
        """Print where the room is, first."""
        self.has_opened, self.options = True, _options(room.folder, room.url)
        found = {"url": room.url, "mcp": f"{room.url}/mcp", "data": str(room.folder), "sign_in": room.sign_in}
        found |= {"owner_token_file": str(room.folder / OWNER_TOKEN), "line": first_line(room, self.options)}
        print_json({"event": "opened", **found})
        if self.opens_page:
            _open_page(room.sign_in)

    def begin(self, name: str, title: str, at: float) -> None:
        """Note a scene."""
        self.scene = {"scene": name, "title": title, "at": rfc3339(WallTime(at)), "lines": []}

    def line(self, who: str, words: str) -> None:
        """Note a line of a scene; print one that comes after the story."""
        if self.scene:
            self.scene["lines"].append({"member": who or None, "line": words})
        else:
            print_json({"event": "line", "member": who or None, "line": words})

    def invite(self, words: str, command: str) -> None:
        """Print what the visitor may do, at once."""
        print_json({"event": "invite", "words": words, "command": printed(command, self.options)})

    def night(self, report: dict[str, Any]) -> None:
        """The report is among the facts of its scene."""

    def end(self, facts: Mapping[str, Any]) -> None:
        """Print a scene with what it showed."""
        print_json({"event": "scene", **self.scene, "facts": facts})
        self.scene = {}

    def over(self, url: str, guest: str, token_file: Path, stays: bool) -> None:
        """Print how the visitor's agent joins, last."""
        line = how_claude_joins(ENTRY, url, token_file)
        print_json({"event": "over", "guest": guest, "token_file": str(token_file), "stays": stays, "line": line})
