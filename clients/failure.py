"""How a command fails: why, what to do, and the exit code. Never a traceback, never a token."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from teamroom.clients.terminal import plain, print_json, say

FAILED, USAGE, NOT_AUTHORISED, PAUSED, INTERRUPTED = 1, 2, 3, 4, 130
"""Exit codes; 0 is success."""

TOKEN = re.compile(r"tr_[0-9a-fA-F]{8,}")


class Failure(Exception):
    """A command ends without having done its work. `body` is what `--json` prints; `exit_code` what the shell gets."""

    def __init__(self, why: str, fix: str, exit_code: int = FAILED, body: Mapping[str, Any] | None = None) -> None:
        super().__init__(why)
        self.why, self.fix, self.exit_code = why, fix, exit_code
        self.body = dict(body) if body is not None else {"why": why, "fix": fix}

    def text(self) -> str:
        """What a person reads: why, and what to do."""
        code = self.body.get("code")
        first = f"Refused ({plain(str(code))}): {plain(self.why)}" if code else f"teamroom: {plain(self.why)}"
        return f"{first}\nFix: {plain(self.fix)}"


class UnreachableError(Failure):
    """No room answers."""

    def __init__(self, url: str) -> None:
        super().__init__(f"No room answers at {url}.", "Run `teamroom up`, or name the room with --url or --data.")


def refusal(body: Mapping[str, Any]) -> Failure:
    """A refusal of the room, as its structured body says it."""
    code = body.get("code")
    exit_code = {"not_allowed": NOT_AUTHORISED, "killed": NOT_AUTHORISED, "paused": PAUSED}.get(str(code), FAILED)
    return Failure(str(body.get("why", "")), str(body.get("fix", "")), exit_code, body)


def guarded(command: Callable[[list[str]], Any], arguments: list[str]) -> int:
    """Run a command line; what goes wrong is said in words, and as JSON where that was asked for."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    try:
        command(arguments)
    except Failure as failure:
        if "--json" in arguments:
            print_json(failure.body)
        say(failure.text())
        return failure.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; so does the last flush
        return FAILED
    except Exception as error:
        say(f"teamroom: a fault of the shell itself: {type(error).__name__}: {without_tokens(plain(str(error)))}")
        return FAILED
    return 0


def without_tokens(text: str) -> str:
    """A text in which every token is struck out."""
    return TOKEN.sub("tr_…", text)
