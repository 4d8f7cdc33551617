"""The lines with which a member joins from its harness, and a person from a chat client, as the shell prints them."""

import shlex
import sys
from pathlib import Path

from teamroom.clients.session.connection import is_this_machine
from teamroom.clients.session.program import own_name
from teamroom.server.rules.joining import HEADER, entries_of_chat_clients, lines_of_harnesses

WIDTH = 12
"""The columns that the name of a harness takes."""


def how_claude_joins(entry: str, url: str, token_file: Path) -> str:
    """Return the line that adds a room to Claude Code for the present folder, with a token that is in a file.

    The token is neither shown nor kept in the shell's history, and no process has it among its arguments.
    """
    read = f'TEAMROOM_TOKEN="$(cat {shlex.quote(str(token_file))})"'
    return f"export {read} && claude mcp add -t http {entry} {url}/mcp -H {HEADER}"


def how_to_join(mcp: str, name: str, here: str) -> str:
    """Return a line for each kind of client. All except the last read the token from TEAMROOM_TOKEN."""
    teamroom = own_name()
    far = "" if is_this_machine(mcp) else f" --url {mcp.removesuffix('/mcp')}"
    stdio = (
        f"{teamroom} connect --as {name}{far}   (with the token in TEAMROOM_TOKEN)"
        if far
        else (f"{teamroom} connect --as {name}{here}   (after: {teamroom} enroll {name} --save{here})")
    )
    lines = {**lines_of_harnesses(mcp), "over stdio": stdio}
    return "\n".join(f"  {kind:{WIDTH}} {line}" for kind, line in lines.items())


def how_to_join_from_chat(mcp: str, name: str) -> str:
    """Return the entry for each kind of chat client. `TOKEN` stands for the token."""
    program = str(Path(sys.argv[0]).resolve()) if "/" in sys.argv[0] else own_name()
    entries = entries_of_chat_clients(mcp, name, program)
    return "\n".join(f"  {client}:\n    {entry}" for client, entry in entries.items())
