"""Long-running programs and the doctor. Each is implemented in its own package."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from teamroom.clients.session.place import OWNER_TOKEN, Place
from teamroom.clients.session.started import STARTED_BY, collect_garbage
from teamroom.clients.session.terminal import print_json
from teamroom.clients.shell.app import Data, Json, bare, command
from teamroom.clients.shell.joining import READ_TOKEN, how_to_join

if TYPE_CHECKING:
    from teamroom.clients.local.up import Opened

SECTION = "Programs"


@command("The room")
def up(
    data: Data = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="N", help="The port, kept for later starts. 0 chooses a free one.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="The name of a new room's first owner.")
    ] = None,
    json: Json = False,
) -> None:
    """Start the room and serve it until Ctrl-C. The first run creates it."""
    from teamroom.clients.local.up import up

    place = Place(data)
    up(place.folder, port, owner, lambda room: _show_opened(room, place, json))


def _show_opened(room: "Opened", place: Place, as_json: bool) -> None:
    """Print where the room is and how to join. It never prints a token."""
    url, new_owner, token_file, here = room.url, room.new_owner, place.folder / OWNER_TOKEN, place.as_option
    if as_json:
        found = {"url": url, "mcp": f"{url}/mcp", "data": str(place.folder), "owner_token_file": str(token_file)}
        print_json({**found, "new_owner": new_owner, "former_url": room.former_url, "public_url": room.members_url})
        return
    made = f"This run created the room. Its owner is @{new_owner}.\n" if new_owner else ""
    if room.former_url is not None:
        made += f"""It was at {room.former_url} before. Change the address in the config of every harness:
another program can take the old one, and then gets their tokens.
"""
    if room.members_url != url:
        made += f"Members reach it at {room.members_url}\n"
    print(
        f"""The room is open at {url}
{made}The owner's token is in {token_file}; only your user can read it.

Add an agent. Its token is shown once:
  teamroom enroll builder{here}

In the agent's terminal, run this and paste the token, so that it stays out of the shell's history:
  {READ_TOKEN}

Then join from your harness:
{how_to_join(f"{room.members_url}/mcp", "builder", here)}

See the board:
  teamroom board{here}

Press Ctrl-C to stop the room.""",
        flush=True,
    )


@command("The room")
def doctor(
    place: Place,
    fix: Annotated[bool, typer.Option("--fix", help="Fix what is safe to fix.")] = False,
    drill: Annotated[bool, typer.Option("--drill", help="Also test the kill switch on a temporary member.")] = False,
    json: Json = False,
) -> None:
    """Check the room, its data folder and this machine. Each problem has a fix."""
    from teamroom.clients.doctor.doctor import doctor

    raise typer.Exit(doctor(place, json, fix, drill))


@command(SECTION)
def connect(
    place: Place,
    name: Annotated[str, typer.Option("--as", metavar="NAME", parser=bare, help="The member to connect as.")],
) -> None:
    """Connect a client that speaks MCP only over stdio."""
    from teamroom.clients.bridge.connect import connect

    collect_garbage()
    failure = connect(place, name)
    raise typer.Exit(failure.exit_code if failure is not None else 0)


@command(SECTION)
def listen(
    place: Place,
    name: Annotated[str, typer.Option("--as", metavar="NAME", parser=bare, help="The member to listen for.")],
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="-- COMMAND…", help="The command to run. {wake} is replaced with the words: call check_in"
        ),
    ],
    stay: Annotated[bool, typer.Option("--stay", help="Keep running after the program that started it exits.")] = False,
    done: Annotated[
        Literal["call", "exit"] | None,
        typer.Option(
            "--done",
            metavar="call|exit",
            help="What answers a wake if the command exits with 0: a call to the room while it ran (default for "
            "agents), or its end.",
        ),
    ] = None,
) -> None:
    """Run a command for an agent's wakes. It gets them as JSON on standard input."""
    from teamroom.clients.listener.listen import listen

    collect_garbage()
    raise typer.Exit(listen(place, name, command, None if stay else STARTED_BY, done=done))


@command(SECTION)
def watch(
    place: Place,
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The config: the runtimes and how to start them.")
    ] = Path("runtimes.toml"),
    name: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            parser=bare,
            help="The watchdog to run as. Its token must be saved in the data folder.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Run one round, then exit. For cron.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the config, and show what would be done.")] = False,
    example: Annotated[bool, typer.Option("--example", help="Print an example config.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Also report what is healthy.")] = False,
    json: Json = False,
) -> None:
    """Restart failed runtimes on this machine. Also counts their listeners."""
    from teamroom.clients.watchdog import watch as watching
    from teamroom.clients.watchdog.runtimes import EXAMPLE

    collect_garbage()
    if example:
        print(EXAMPLE, end="")
    elif check:
        raise typer.Exit(watching.check(config, place.environment, json))
    else:
        raise typer.Exit(watching.watch(place, name, config, once, verbose, json))
