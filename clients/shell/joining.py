"""The lines with which a member joins from its harness."""

from teamroom.clients.session.connection import is_this_machine
from teamroom.clients.session.program import own_name

READ_TOKEN = "read -rs TEAMROOM_TOKEN && export TEAMROOM_TOKEN"
"""Reads a token that is pasted next, in bash and zsh. It is neither shown nor kept in the shell's history."""


def how_to_join(mcp: str, name: str, here: str) -> str:
    """Return a line for each kind of client. All except the last read the token from TEAMROOM_TOKEN."""
    teamroom = own_name()
    far = "" if is_this_machine(mcp) else f" --url {mcp.removesuffix('/mcp')}"
    stdio = (
        f"{teamroom} connect --as {name}{far}   (with the token in TEAMROOM_TOKEN)"
        if far
        else (f"{teamroom} connect --as {name}{here}   (after: {teamroom} enroll {name} --save{here})")
    )
    header = "'Authorization: Bearer ${TEAMROOM_TOKEN}'"
    return f"""  Claude Code  claude mcp add -s user -t http teamroom {mcp} -H {header}
  Codex        codex mcp add teamroom --url {mcp} --bearer-token-env-var TEAMROOM_TOKEN
  any other    {mcp} with the header Authorization: Bearer $TEAMROOM_TOKEN
  over stdio   {stdio}"""
