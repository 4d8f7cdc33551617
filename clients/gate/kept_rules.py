"""The approval rules that a gate keeps for the time in which it cannot ask the room.

They are in a private file next to the member's token: a mark of the rules on the first line, then the rules. The room
sends them whenever the gate keeps others.
"""

import contextlib
from pathlib import Path
from typing import Any

from teamroom.server.private import read_private, write_private
from teamroom.server.rules.approvals import rules_from_text, rules_matching
from teamroom.server.rules.local_calls import read_call

NO_RULES = "none"


def keep_rules(file: str, sent: str) -> None:
    """Keep the rules that the room sent. Where no private file can be written, none are kept."""
    path = Path(file)
    with contextlib.suppress(OSError):
        if sent.partition("\n")[0] == NO_RULES:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_private(path, f"{sent}\n")


def why_it_waits(file: str, said: Any) -> str:
    """Return why a call must not run while no room can be asked; "" if it may. Rules that cannot be read match it."""
    try:
        text = read_private(Path(file)).decode().partition("\n")[2].strip()
        rules = rules_from_text(text or "a part of the file is missing")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        return f"the rules of this member cannot be read ({error})"
    found = rules_matching(rules, read_call(said))
    return f"it matches rule {found[0].id} ({found[0].match}), which has such calls wait for a person" if found else ""
