"""Editors and Crush: their files are documented, and nobody has run them with this room."""

import json
from dataclasses import replace
from pathlib import Path

from teamroom.clients.harnesses.description import ENTRY, ConfigFile, Harness, Seat
from teamroom.clients.harnesses.hooked import IN_FOLDER, servers
from teamroom.clients.session.program import own_words

DOCUMENTED = "from its documentation, not tried"
NOT_STOPPED = "Join writes no hook for it. A pause or kill refuses only its calls to the room."
NOT_WOKEN = "Nothing wakes it: it sees what waits when its person opens it."
NO_ENVIRONMENT = (
    "A program with windows has another environment than your terminal: the entry names the bridge by its full path, "
    "and needs no variable."
)


def in_window(seat: Seat) -> Seat:
    """Return a seat whose commands run with any PATH, for a program that no terminal started."""
    return replace(seat, program=tuple(own_words()))


def _editor(key: str, name: str, programs: tuple[str, ...], path: str, servers_key: str, **more: str) -> Harness:
    """Return an editor with its file below the folder, or below the home if the path begins with ~."""
    is_users = path.startswith("~/")

    def files(seat: Seat) -> list[ConfigFile]:
        where = seat.machine.home if is_users else seat.machine.folder
        entry = in_window(seat).server(servers_key, **more)
        return [ConfigFile(where / Path(path.removeprefix("~/")), entries=(entry,))]

    return Harness(
        key=key,
        name=name,
        programs=programs,
        marks=() if is_users else (str(Path(path).parent),),
        homes=(str(Path(path.removeprefix("~/")).parent),) if is_users else (),
        files=files,
        is_users=is_users,
        snippet=lambda seat: servers(in_window(seat), servers_key, **more),
        stops=NOT_STOPPED,
        wakes=NOT_WOKEN,
        notes=() if is_users else (IN_FOLDER,),
        tried=DOCUMENTED,
        why=NO_ENVIRONMENT,
    )


VSCODE = _editor("vscode", "VS Code", ("code",), ".vscode/mcp.json", "servers", type="stdio")
CURSOR = _editor("cursor", "Cursor", ("cursor", "cursor-agent"), ".cursor/mcp.json", "mcpServers")
ZED = _editor("zed", "Zed", ("zed", "zeditor"), "~/.config/zed/settings.json", "context_servers")


def _crush(seat: Seat) -> list[ConfigFile]:
    return [ConfigFile(seat.machine.folder / "crush.json", entries=(seat.server("mcp", type="stdio"),))]


CRUSH = Harness(
    key="crush",
    name="Crush",
    programs=("crush",),
    homes=(".config/crush",),
    marks=("crush.json", ".crush.json", ".crush"),
    variables=("CRUSH",),
    run=("crush", "run", "{wake}"),
    files=_crush,
    snippet=lambda seat: json.dumps({"mcp": {ENTRY: seat.stdio(type="stdio")}}, indent=2),
    stops=NOT_STOPPED,
    wakes="Its listener starts `crush run` for each wake; no hook can. Nobody has run that with a room yet.",
    notes=(IN_FOLDER,),
    tried="read in its source, not tried: neither the entry nor `crush run`",
    why="The stdio bridge needs no variable, so two harnesses in one terminal share no token.",
)
