"""Run a command line: what fails is printed in words, with the shell's commands, and never as a traceback."""

import os
import re
import sys
from collections.abc import Callable
from typing import Any

from teamroom.clients.session.failure import FAILED, INTERRUPTED, NOT_AUTHORISED, TOKEN, Failure
from teamroom.clients.session.program import named_options, pasteable
from teamroom.clients.session.terminal import plain, print_json, say
from teamroom.clients.session.times import name_zone, print_zone, with_local_times
from teamroom.server.private import NotPrivateError

COMMANDS = {
    **{name: name for name in ("pause", "resume", "kill", "enroll", "revoke", "plant", "redact")},
    "notify": "letters set",
    "overnight": "overnight",
    "who": "roster",
    "read_board": "board",
    "read_messages": "stream",
    "check_in": "inbox",
    "post_message": "post",
    "create_task": "task add",
    "update_task": "task edit",
    "claim_task": "claim",
    "complete_task": "done",
    "review_task": "review",
    "hand_off": "handoff",
    "answer_hand_off": "handoff",
    "read_receipts": "receipts",
    "set_policy": "policy",
    "require_approval": "rules",
    "decide": "decide",
    "authorize": "authorize",
    "sign_in": "sign-in",
    "import_task": "import",
    "teamroom://plants": "plant",
    "teamroom://channels": "letters show",
}
"""The tools and resources that refusals name, and the shell command for each."""

NAMED_TOOL = re.compile(rf"\b(?:(?P<verb>Call|Read) )?(?<![@:/.-])\b(?P<tool>{'|'.join(COMMANDS)})\b(?![/-])")
WITHDRAW = re.compile(r"answer_hand_off offer (O-\d+) accept false")
ABOUT_TASK = re.compile(r"\b(?P<tool>update_task|read_board|claim_task|review_task) task (?P<task>T-\d+)")
"""How the room names the arguments of a corrected call."""

WITHOUT_AFTER = " without after, and continue from the cursor it returns"
WITHOUT_IDS = "Call read_messages without ids"
CORRECTED = re.compile(r"Call (?P<tool>\w+) with “")


def guarded(command: Callable[[list[str]], Any], arguments: list[str]) -> int:
    """Run a command line; returns its exit code. Errors are printed in words, and with `--json` as JSON."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    try:
        try:
            command(arguments)
        finally:
            print_zone()
    except Failure as failure:
        return _fails(failure, arguments)
    except NotPrivateError as error:
        return _fails(Failure(f"{error}.", error.fix, NOT_AUTHORISED), arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader is gone: drop the last flush too
        return FAILED
    except Exception as error:
        say(f"teamroom: internal error: {type(error).__name__}: {without_tokens(plain(str(error)))}")
        return FAILED
    return 0


def _fails(failure: Failure, arguments: list[str]) -> int:
    """Print a failure; returns its exit code."""
    if "--json" in arguments:
        print_json(failure.body)
    on_terminal = sys.stderr.isatty()
    words = with_local_times(failure.text(with_commands), on_terminal)
    say(pasteable(words, named_options(arguments)))
    if on_terminal and (named := name_zone()) is not None:
        say(named)
    return failure.exit_code


def with_commands(fix: str) -> str:
    """Return the fix of a refusal with shell commands instead of tools."""
    corrected = CORRECTED.match(fix)
    if corrected is not None and corrected["tool"] in COMMANDS:
        return f"Run `teamroom {COMMANDS[corrected['tool']]} --help` to see its options."
    fix = WITHDRAW.sub(r"`teamroom handoff \1 withdraw`", fix.replace(WITHOUT_IDS, "Call read_messages"))
    fix = ABOUT_TASK.sub(lambda found: f"`teamroom {COMMANDS[found['tool']]} {found['task']}`", fix)
    return NAMED_TOOL.sub(_command, fix).replace("call `teamroom ", "run `teamroom ").replace(WITHOUT_AFTER, "")


def _command(named: re.Match[str]) -> str:
    tool, verb = named["tool"], named["verb"]
    if verb is None and tool.isalpha():  # also an English word, as in "wait for its resume"
        return named[0]
    return f"{'Run ' if verb else ''}`teamroom {COMMANDS[tool]}`"


def without_tokens(text: str) -> str:
    """Return a text with every token replaced."""
    return TOKEN.sub("tr_…", text)
