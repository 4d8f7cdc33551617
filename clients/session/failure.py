"""How a command fails: why, the fix and the exit code. It never prints a traceback or a token."""

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
"""The tools and resources that refusals name, and the shell command for each."""

NAMED_TOOL = re.compile(rf"\b(?:(?P<verb>Call|Read) )?(?<![@:/.-])\b(?P<tool>{'|'.join(COMMANDS)})\b(?![/-])")
TAKES = re.compile(r"(?P<tool>\w+) takes ")


class Failure(Exception):
    """A command failed. `--json` prints `body`; the process exits with `exit_code`."""

    def __init__(self, why: str, fix: str, exit_code: int = FAILED, body: Mapping[str, Any] | None = None) -> None:
        super().__init__(why)
        self.why, self.fix, self.exit_code = why, fix, exit_code
        self.body = dict(body) if body is not None else {"why": why, "fix": fix}

    def text(self, at_shell: bool = False) -> str:
        """Return why it failed and the fix. `at_shell`: the fix names shell commands instead of tools."""
        code = self.body.get("code")
        first = f"Refused ({plain(str(code))}): {plain(self.why)}" if code else f"teamroom: {plain(self.why)}"
        return f"{first}\nFix: {plain(with_commands(self.fix) if at_shell and code else self.fix)}"


class UnreachableError(Failure):
    """No room answers. `fault` names the underlying error."""

    def __init__(self, url: str, fault: str = "") -> None:
        super().__init__(f"No room answers at {url}.", "Run `teamroom up`, or name the room with --url or --data.")
        self.fault = fault


def refusal(body: Mapping[str, Any]) -> Failure:
    """Return a refusal of the room as a Failure."""
    code = body.get("code")
    exit_code = {"not_allowed": NOT_AUTHORISED, "killed": NOT_AUTHORISED, "paused": PAUSED}.get(str(code), FAILED)
    return Failure(str(body.get("why", "")), str(body.get("fix", "")), exit_code, body)


@contextlib.contextmanager
def ungrouped() -> Iterator[None]:
    """Run a block with task groups; raise the first Failure without the exception groups around it."""
    try:
        yield
    except* Failure as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


def with_commands(fix: str) -> str:
    """Return the fix of a refusal with shell commands instead of tools."""
    takes = TAKES.match(fix)
    if takes is not None and takes["tool"] in COMMANDS:
        return f"Run `teamroom {COMMANDS[takes['tool']]} --help` to see its options."
    return NAMED_TOOL.sub(_command, fix)


def _command(named: re.Match[str]) -> str:
    tool, verb = named["tool"], named["verb"]
    if verb is None and tool.isalpha():  # also an English word, as in "wait for its resume"
        return named[0]
    return f"{'Run ' if verb else ''}`teamroom {COMMANDS[tool]}`"


def guarded(command: Callable[[list[str]], Any], arguments: list[str]) -> int:
    """Run a command line; returns its exit code. Errors are printed in words, and with `--json` as JSON."""
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
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the reader of the pipe is gone, so drop the last flush too
        return FAILED
    except Exception as error:
        say(f"teamroom: internal error: {type(error).__name__}: {without_tokens(plain(str(error)))}")
        return FAILED
    return 0


def without_tokens(text: str) -> str:
    """Return a text with every token replaced."""
    return TOKEN.sub("tr_…", text)
