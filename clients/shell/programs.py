"""Programs that run for long, and the doctor: each is started here and lives in a package of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from teamroom.clients.session.place import OWNER_TOKEN, Place
from teamroom.clients.session.started import STARTED_BY, collect_garbage
from teamroom.clients.session.terminal import print_json
from teamroom.clients.shell.app import Data, Json, bare, command
from teamroom.clients.shell.joining import how_to_join

if TYPE_CHECKING:
    from teamroom.clients.local.up import Opened

SECTION = "Programs"


@command("The room")
def up(
    data: Data = None,
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="The port; 0 finds a free one.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="The first owner of a new room.")] = None,
    json: Json = False,
) -> None:
    """Open the room here, and serve it until Ctrl-C. The first run makes it."""
    from teamroom.clients.local.up import up

    place = Place(data)
    up(place.folder, port, owner, lambda room: _show_opened(room, place, json))


def _show_opened(room: "Opened", place: Place, as_json: bool) -> None:
    """The room is open: say where, and how to join. Never a token."""
    url, new_owner, token_file, here = room.url, room.new_owner, place.folder / OWNER_TOKEN, place.as_option
    if as_json:
        found = {"url": url, "mcp": f"{url}/mcp", "data": str(place.folder), "owner_token_file": str(token_file)}
        print_json({**found, "new_owner": new_owner})
        return
    made = f"This run made the room; its owner is @{new_owner}.\n" if new_owner else ""
    print(
        f"""The room is open at {url}
{made}The owner's token lies in {token_file}; only your user can read it.

Bring an agent in, and give it its token, which is shown once:
  teamroom enroll builder{here}
  export TEAMROOM_TOKEN=…

Then join from its harness:
{how_to_join(f"{url}/mcp", "builder", here)}

See the board:
  teamroom board{here}

Ctrl-C closes the room.""",
        flush=True,
    )


@command("The room")
def doctor(
    place: Place,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is safe to mend, such as rights of files.")] = False,
    drill: Annotated[bool, typer.Option("--drill", help="Also kill a member made for it, and call again.")] = False,
    json: Json = False,
) -> None:
    """Look for what is wrong with the room, its folder and this machine, and say what mends it."""
    from teamroom.clients.doctor.doctor import doctor

    raise typer.Exit(doctor(place, json, fix, drill))


@command(SECTION)
def connect(
    place: Place,
    name: Annotated[str, typer.Option("--as", metavar="NAME", parser=bare, help="The member that joins.")],
) -> None:
    """Carry MCP between standard input and output and the room, for clients that speak stdio only."""
    from teamroom.clients.bridge.connect import connect

    collect_garbage()
    failure = connect(place, name)
    raise typer.Exit(failure.exit_code if failure is not None else 0)


@command(SECTION)
def listen(
    place: Place,
    name: Annotated[str, typer.Option("--as", metavar="NAME", parser=bare, help="The member that listens.")],
    command: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND…", help="What to run for a wake; {wake} in it is one line about it."),
    ],
    stay: Annotated[bool, typer.Option("--stay", help="Go on when the program that started it ends.")] = False,
) -> None:
    """Be the one live listener of an agent: run a command for what wakes it, the wakes as JSON on its input."""
    from teamroom.clients.listener.listen import listen

    collect_garbage()
    raise typer.Exit(listen(place, name, command, None if stay else STARTED_BY))


@command(SECTION)
def watch(
    place: Place,
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="Which runtimes, and how they are started.")
    ] = Path("runtimes.toml"),
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", parser=bare, help="The watchdog, whose token is kept here.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="One round, then end: for cron.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only check the config, and show what would be done.")] = False,
    example: Annotated[bool, typer.Option("--example", help="Print a config to begin with.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Also say what is well.")] = False,
    json: Json = False,
) -> None:
    """Look after the runtimes of agents on this machine: repair them, and count their listeners."""
    from teamroom.clients.watchdog import watch as watching
    from teamroom.clients.watchdog.runtimes import EXAMPLE

    collect_garbage()
    if example:
        print(EXAMPLE, end="")
    elif check:
        raise typer.Exit(watching.check(config, place.environment, json))
    else:
        raise typer.Exit(watching.watch(place, name, config, once, verbose, json))
