"""How a command fails: why, what to do, and the exit code. Never a traceback, never a token."""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from teamroom.clients.session.terminal import plain, print_json, say

FAILED, USAGE, NOT_AUTHORISED, PAUSED, INTERRUPTED = 1, 2, 3, 4, 130
"""Exit codes; 0 is success."""

TOKEN = re.compile(r"tr_[0-9a-fA-F]{8,}")

COMMANDS = {
    **{name: name for name in ("pause", "resume", "kill", "enroll", "revoke", "plant", "redact", "notify")},
    "overnight": "overnight",
    "who": "roster",
    "read_board": "board",
    "read_messages": "stream",
    "read_receipts": "receipts",
    "set_policy": "policy",
    "teamroom://plants": "plant",
}
"""What the room's refusals tell agents to call or to read, and the command that does it here."""

TOLD = re.compile(rf"\b(?:(?P<verb>Call|Read) )?(?<![@:/.-])\b(?P<tool>{'|'.join(COMMANDS)})\b(?![/-])")
TAKES = re.compile(r"(?P<tool>\w+) takes ")


class Failure(Exception):
    """A command ends without having done its work. `body` is what `--json` prints; `exit_code` what the shell gets."""

    def __init__(self, why: str, fix: str, exit_code: int = FAILED, body: Mapping[str, Any] | None = None) -> None:
        super().__init__(why)
        self.why, self.fix, self.exit_code = why, fix, exit_code
        self.body = dict(body) if body is not None else {"why": why, "fix": fix}

    def text(self, at_shell: bool = False) -> str:
        """Why, and what to do. `at_shell`: for a person, who has the shell's commands and not the room's tools."""
        code = self.body.get("code")
        first = f"Refused ({plain(str(code))}): {plain(self.why)}" if code else f"teamroom: {plain(self.why)}"
        return f"{first}\nFix: {plain(with_commands(self.fix) if at_shell and code else self.fix)}"


class UnreachableError(Failure):
    """No room answers. `fault` is the name of what went wrong."""

    def __init__(self, url: str, fault: str = "") -> None:
        super().__init__(f"No room answers at {url}.", "Run `teamroom up`, or name the room with --url or --data.")
        self.fault = fault


def refusal(body: Mapping[str, Any]) -> Failure:
    """A refusal of the room, as its structured body says it."""
    code = body.get("code")
    exit_code = {"not_allowed": NOT_AUTHORISED, "killed": NOT_AUTHORISED, "paused": PAUSED}.get(str(code), FAILED)
    return Failure(str(body.get("why", "")), str(body.get("fix", "")), exit_code, body)


@contextlib.contextmanager
def ungrouped() -> Iterator[None]:
    """A block whose tasks fail together; raises the first Failure of theirs as it is."""
    try:
        yield
    except* Failure as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


def with_commands(fix: str) -> str:
    """What to do about a refusal, with the shell's commands in the place of the room's tools."""
    takes = TAKES.match(fix)
    if takes is not None and takes["tool"] in COMMANDS:
        return f"Run `teamroom {COMMANDS[takes['tool']]} --help` to see what it takes."
    return TOLD.sub(_command, fix)


def _command(told: re.Match[str]) -> str:
    tool, verb = told["tool"], told["verb"]
    if verb is None and tool.isalpha():  # a word of English too: wait for its resume
        return told[0]
    return f"{'Run ' if verb else ''}`teamroom {COMMANDS[tool]}`"


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
        say(failure.text(at_shell=True))
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
