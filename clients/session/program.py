"""The commands that this program prints: a person can paste them into the terminal that shows them."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

NAME = "teamroom"

WORD = r"""(?:'[^']*'|"[^"]*"|[^\s'"`.,]|[.,](?!\s|$))+"""
PRINTED = re.compile(
    r"(?<!`)(?P<ticks>`+)teamroom (?P<quoted>[a-z].*?)(?<!`)(?P=ticks)(?!`)"
    rf"|(?<=: )teamroom (?P<bare>[a-z-]+(?: {WORD})*)"
)
"""A command in a sentence, and one after a colon, up to the end of the sentence."""

PLACES = {"--data": Path, "--token-file": Path, "--url": str}
"""The options that name a room, and what they take."""

FOLDER = "--data"

FOLDERS_COMMANDS = frozenset({"up", "demo", "down", "service", "verify", "seal", "backup", "restore", "recover"})
"""The commands that work on a folder, and take no other of these options."""

NO_ROOMS_COMMANDS = frozenset({"help", "completion", "copy"})


def own_words() -> list[str]:
    """Return the words that run this program from any folder and with any PATH."""
    script = Path(sys.argv[0] if Path(sys.argv[0]).name == NAME else sys.executable).absolute().with_name(NAME)
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-m", f"{NAME}.clients.start"]


def own_name() -> str:
    """Return the shortest word that runs this program in this terminal, quoted for a shell."""
    if Path(sys.argv[0]).name != NAME:
        return NAME
    script = shutil.which(sys.argv[0])
    found = shutil.which(NAME)
    if script is None or (found is not None and os.path.realpath(found) == os.path.realpath(script)):
        return NAME
    return shlex.quote(str(Path(script).absolute()))


def named_options(arguments: Sequence[str]) -> dict[str, str]:
    """Return the options of a command line that name a room, with absolute paths."""
    found, words = dict[str, str](), iter(arguments)
    for word in words:
        if word == "--":
            break
        name, is_joined, value = word.partition("=")
        if name in PLACES:
            value = value if is_joined else next(words, "")
            found[name] = str(Path(value).expanduser().absolute()) if PLACES[name] is Path else value
    return found


def pasteable(text: str, options: Mapping[str, str]) -> str:
    """Return a text whose commands run this program, for the room that the options name."""

    def write(found: re.Match[str]) -> str:
        mark = found["ticks"] or ""
        return mark + printed(str(found["quoted"] or found["bare"]), options) + mark

    return text if own_name() == NAME and not options else PRINTED.sub(write, text)


def printed(command: str, options: Mapping[str, str]) -> str:
    """Return a command of this program, without its name, as it is printed: for the room that the options name."""
    return f"{own_name()} {command}{_missing(command, options)}"


def _missing(command: str, options: Mapping[str, str]) -> str:
    """Return the options that a command takes and does not have."""
    words = command.split()
    if words[0] in NO_ROOMS_COMMANDS or "--help" in words:
        return ""
    taken = {FOLDER} if words[0] in FOLDERS_COMMANDS else set(PLACES)
    given = (f" {name} {shlex.quote(value)}" for name, value in options.items() if name in taken - set(words))
    return "".join(given)
