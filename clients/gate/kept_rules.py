"""The approval rules that a gate keeps for the time in which it cannot ask the room.

They are in a private file next to the member's token: a mark of the rules on the first line, then the rules. The room
sends them whenever the gate keeps others. A token file that was named can be in any folder, so that folder stays as it
is.
"""

import contextlib
from pathlib import Path
from typing import Any

from teamroom.clients.gate.gate import NO_RULES, Request
from teamroom.server.private import read_private, write_private
from teamroom.server.rules.approvals import rules_from_text, rules_matching
from teamroom.server.rules.local_calls import read_call


def keep_rules(request: Request, sent: str) -> None:
    """Keep the rules that the room sent. Where no private file can be written, none are kept."""
    path = Path(request.rules)
    with contextlib.suppress(OSError):
        if sent.partition("\n")[0] == NO_RULES:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_private(path, f"{sent}\n", private_folders(request))


def private_folders(request: Request) -> int:
    """Return how many folders above the rules are the room's to keep private."""
    return 0 if request.file else 1


def why_it_waits(request: Request, said: Any) -> str:
    """Return why a call must not run while no room can be asked; "" if it may. Rules that cannot be read match it."""
    try:
        text = read_private(Path(request.rules), private_folders(request)).decode().partition("\n")[2].strip()
        rules = rules_from_text(text or "a part of the file is missing")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        return f"the rules of this member cannot be read ({error})"
    found = rules_matching(rules, read_call(said))
    return f"it matches rule {found[0].id} ({found[0].match}), which has such calls wait for a person" if found else ""
