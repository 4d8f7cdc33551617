"""The room's server: start it, with or without a terminal, see how it is, and stop it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.failure import FAILED
from teamroom.clients.session.place import OWNER_TOKEN, Place, check_person
from teamroom.clients.session.program import own_name
from teamroom.clients.session.spans import passed_since
from teamroom.clients.session.terminal import aligned, plain, print_json
from teamroom.clients.shell.app import Data, Json, command
from teamroom.clients.shell.joining import how_to_join
from teamroom.server.rules.joining import READ_TOKEN

if TYPE_CHECKING:
    from teamroom.clients.local.running import Readiness, Server
    from teamroom.clients.local.up import Opened

SECTION = "The room"

NOT_RUNNING = 5
"""The exit code of `status` if no room runs."""


@command(SECTION)
def up(
    data: Data = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="N", help="The port, kept for later starts. 0 chooses a free one.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="The name of a new room's first owner.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            metavar="ADDRESS",
            help="Keep the room in PostgreSQL: postgresql://USER@HOST/DATABASE. TEAMROOM_DATABASE hides a password.",
        ),
    ] = None,
    key_file: Annotated[
        str | None,
        typer.Option("--key-file", metavar="FILE", help="A copy of room.key, for a further server of the room."),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once the room answers. It outlives this terminal.")
    ] = False,
    json: Json = False,
) -> None:
    """Start the room and serve it until Ctrl-C. The first run creates it."""
    place = Place(data)
    key_path = None if key_file is None else str(Path(key_file).absolute())  # a detached server starts elsewhere
    given = {name: value for name, value in (("database", database), ("key_file", key_path)) if value is not None}
    if detach:
        _start_detached(place, port, owner, given, json)
        return
    from teamroom.clients.local.up import up

    def opened(room: "Opened") -> None:
        _show_opened(room.url, room.members_url, room.new_owner, room.former_url, place, json, room.sign_in)

    up(place.folder, port, owner, opened, given)


def _show_opened(
    url: str,
    members_url: str,
    new_owner: str | None,
    former_url: str | None,
    place: Place,
    as_json: bool,
    sign_in: str | None,
) -> None:
    """Print where a room that this run serves is, and how to join. It never prints a token."""
    if as_json:
        found = {"url": url, "mcp": f"{url}/mcp", "data": str(place.folder)}
        found["owner_token_file"] = str(place.folder / OWNER_TOKEN)
        print_json({**found, "new_owner": new_owner, "former_url": former_url, "public_url": members_url})
        return
    print(_opened_text(url, members_url, new_owner, former_url, place), end="\n\n")
    if sign_in is not None:
        print(f"Sign in to its page, once, within ten minutes:\n  {sign_in}\n")
    print("Press Ctrl-C to stop the room.", flush=True)


NO_TOKEN = (
    "The room's first server has the owner's token. Copy it into owner.token here to use the shell on this machine."
)
"""What is said where another server of the room made it."""


def _opened_text(url: str, members_url: str, new_owner: str | None, former_url: str | None, place: Place) -> str:
    token_file, here, teamroom = place.folder / OWNER_TOKEN, place.as_option, own_name()
    made = f"This run created the room. Its owner is @{new_owner}.\n" if new_owner else ""
    if former_url is not None:
        made += f"""It was at {former_url} before. Change the address in the config of every harness:
another program can take the old one, and then gets their tokens.
"""
    if members_url != url:
        made += f"Members reach it at {members_url}\n"
    has_token = token_file.exists()
    token = f"The owner's token is in {token_file}; only your user can read it." if has_token else NO_TOKEN
    return f"""The room is open at {url}
{made}{token}

Add an agent. Its token is shown once:
  {teamroom} enroll builder{here}

In the agent's terminal, run this and paste the token, so that it stays out of the shell's history:
  {READ_TOKEN}

Then join from your harness:
{how_to_join(f"{members_url}/mcp", "builder", here)}

See the board, or sign in to the page:
  {teamroom} board{here}
  {teamroom} sign-in{here}"""


def _start_detached(place: Place, port: int | None, owner: str | None, given: Mapping[str, str], as_json: bool) -> None:
    """Start the room without a terminal, and print where it is, where its log is and how to stop it."""
    from teamroom.clients.local.detached import start

    started = start(place.folder, port, owner, given)
    server, printed, here, teamroom = started.server, started.printed, place.as_option, own_name()
    if as_json:
        print_json({**_facts(server), "already_running": printed is None, **(printed or {})})
        return
    if printed is None:
        print(f"The room runs already, at {server.url} (process {server.process}).")
    else:
        room = (str(printed["public_url"]), printed["new_owner"], printed["former_url"])
        print(_opened_text(server.url, *room, place), end="\n\n")
        print(f"The room runs without this terminal, as process {server.process}.")
    if server.log is not None:
        print(f"Its log:      {plain(str(server.log))}")
    print(f"How it is:    {teamroom} status{here}\nTo stop it:   {teamroom} down{here}")


# ------------------------------------------------------------------ how it is


@command(SECTION)
def status(place: Place, json: Json = False) -> None:
    """Show whether the room runs and works. Needs no token."""
    from teamroom.clients.local.running import ask_readiness, find_server

    if place.socket_folder is None:
        url: str | None = place.endpoint.removesuffix("/mcp")
        server, readiness = None, ask_readiness(url or "", None)
        state = "no answer" if readiness is None else _state(readiness)
    else:
        server = find_server(place.folder)
        url = server.url if server is not None else None
        readiness = ask_readiness(server.url, place.folder) if server is not None else None
        state = _state_of(server, readiness)
    facts = {"state": state, "url": url, **(_facts(server) if server is not None else {})}
    if json:
        print_json({**facts, "data": str(place.folder), "parts": {} if readiness is None else readiness.parts})
    else:
        _show_status(place, state, url, server, readiness)
    raise typer.Exit(0 if state == "ready" else NOT_RUNNING if state in ("stopped", "no answer") else FAILED)


def _state_of(server: "Server | None", readiness: "Readiness | None") -> str:
    if server is None:
        return "stopped"
    if readiness is None:
        return "silent" if server.serves else "starting"
    return _state(readiness)


def _state(readiness: "Readiness") -> str:
    return "ready" if readiness.is_ready else "not ready"


WORDS = {
    "ready": "The room runs and is ready.",
    "not ready": "The room runs, but is not ready: it cannot use its database, or a part that it needs fails.",
    "silent": "The room runs, but does not answer.",
    "starting": "The room is starting: it is being verified or upgraded.",
    "stopped": "No room runs in this folder.",
    "no answer": "No room answers at this address.",
}
"""What `status` says of each state."""


def _show_status(
    place: Place, state: str, url: str | None, server: "Server | None", readiness: "Readiness | None"
) -> None:
    rows = [["address", url or ""]]
    if server is not None:
        rows += [["process", str(server.process)], ["since", _since(server)], ["version", server.version or ""]]
        rows += [["log", "where it was started" if server.log is None else plain(str(server.log))]]
    if readiness is not None:
        rows += [["parts", ", ".join(f"{name} {how}" for name, how in readiness.parts.items())]]
    if place.socket_folder is not None:
        rows += [["folder", plain(str(place.folder))]]
    print(WORDS[state])
    for line in aligned([row for row in rows if row[1]]):
        print(f"  {line}")
    verb = {"stopped": "start it", "silent": "end it, if it stays so", "not ready": "see why"}.get(state)
    if verb is not None and place.socket_folder is not None:
        command = {"stopped": "up --detach", "silent": "down", "not ready": "doctor"}[state]
        print(f"To {verb}, run: {own_name()} {command}{place.as_option}")


def _facts(server: "Server") -> dict[str, Any]:
    return {
        "url": server.url,
        "process": server.process,
        "since": server.since or None,
        "version": server.version,
        "log": None if server.log is None else str(server.log),
    }


def _since(server: "Server") -> str:
    """Return since when a server serves the room, and how long that is; empty if it did not say."""
    return f"{server.since} ({passed_since(server.since)})" if server.since else ""


# ------------------------------------------------------------------ stopping it


@command(SECTION)
def down(
    data: Data = None,
    force: Annotated[bool, typer.Option("--force", help="Kill it if it does not end within 20 seconds.")] = False,
    json: Json = False,
) -> None:
    """Stop the room of a folder, and wait until it has ended. Agents cannot act until it runs again."""
    from teamroom.clients.local.running import end_server, find_server

    place = Place(data)
    check_person(place.environment, "stop the room")
    server = find_server(place.folder)
    was_killed = end_server(server, force) if server is not None else False
    if json:
        print_json({"stopped": server is not None, "killed": was_killed, **(_facts(server) if server else {})})
    elif server is None:
        print(f"No room runs in {plain(str(place.folder))}. Nothing was stopped.")
    else:
        how = "did not end by itself and was killed" if was_killed else "has stopped"
        print(f"The room at {plain(server.url)} {how} (process {server.process}).")
        print(f"To start it again: {own_name()} up --detach{place.as_option}")
