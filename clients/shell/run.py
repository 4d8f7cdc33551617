"""Run a command line: what fails is printed in words, with the shell's commands, and never as a traceback."""

import os
import sys
from collections.abc import Callable
from typing import Any

from teamroom.clients.session.failure import FAILED, INTERRUPTED, NOT_AUTHORISED, TOKEN, Failure
from teamroom.clients.session.program import named_options, pasteable
from teamroom.clients.session.terminal import plain, print_json, say
from teamroom.clients.session.times import name_zone, print_zone, with_local_times
from teamroom.clients.shell.wording import with_commands
from teamroom.server.private import NotPrivateError


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


def without_tokens(text: str) -> str:
    """Return a text with every token replaced."""
    return TOKEN.sub("tr_…", text)
