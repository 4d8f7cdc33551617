"""Texts that a person writes: as words of the command, on standard input with `-`, or in an editor.

A `-` at a terminal opens the editor too.
"""

import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from teamroom.clients.session.failure import FAILED, USAGE, Failure
from teamroom.clients.session.place import Place, agents_session
from teamroom.clients.session.terminal import is_terminal, plain, say
from teamroom.clients.shell.typed import MINUS, again
from teamroom.server.rules.text import TEXT_CHARACTERS

EDITORS = ("editor", "nano", "vi")
"""The editors that are tried if neither VISUAL nor EDITOR is set."""

READ_BYTES = 1_000_000
"""How much of standard input is read at most."""

INLINE_CHARACTERS = 200
"""The longest text that is repeated as a word of a command. Longer ones are saved in a file."""

CUT = "-- Everything from this line on is left out. --"
"""The line in the editor's file after which nothing is sent."""

TEXT = "text"
"""The name of the argument that is a text."""

PRIVATE = 0o600
BEGINS = "teamroom-"
ENDS = ".md"


@dataclass
class Written:
    """A text, and the file that has it if it was written in an editor or is kept for another try."""

    text: str
    file: Path | None = None

    def command(
        self,
        context: typer.Context,
        arguments: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the command line that sends this text. A text that is no short line is saved in a file for it."""
        is_inline = self.file is None and len(self.text) <= INLINE_CHARACTERS and plain(self.text) == self.text
        if is_inline:
            return again(context, {**(arguments or {}), TEXT: [self.text]}, options)
        if self.file is None:
            self.file = _save(self.text)
        return again(context, {**(arguments or {}), TEXT: [MINUS]}, options, self.file)


@contextlib.contextmanager
def written(
    place: Place, context: typer.Context, words: Sequence[str] | None, about: str, first: str = ""
) -> Iterator[Written]:
    """Yield the text that a person writes. Raises Failure if there is none.

    On a terminal without words, an editor opens. `about` is shown below the text there; `first` is already in it.
    If the block fails, what was written in the editor is kept, and the failure says where.
    """
    if words:
        text = _read_input() if list(words) == [MINUS] else " ".join(words)
        if not text.strip():
            raise Failure("The text is blank, so nothing was sent.", "Write a text.", USAGE)
        yield Written(text)
        return
    if not is_person_at_terminal(place):
        raise Failure(
            "There is no text.",
            f"Give it as an argument, or on standard input: {again(context, {TEXT: [MINUS]})} < FILE",
            USAGE,
        )
    edited = edit(about, first)
    try:
        yield edited
    except Failure as failure:
        if (file := edited.file) is not None and str(file) not in failure.fix:
            failure.fix += f" Your text is in {file}. To send it, run: {edited.command(context)}"
        raise
    if edited.file is not None:
        edited.file.unlink(missing_ok=True)


def text_of(text: str, about: str = "Write the text above. Save nothing to send nothing.") -> str:
    """Return a text as it was given; with `-`, the one on standard input or, at a terminal, from the editor.

    Raises Failure.
    """
    if text != MINUS:
        return text
    if not is_person_at_terminal(Place()):
        return _read_input()
    edited = edit(about)
    if edited.file is not None:
        edited.file.unlink(missing_ok=True)
    return edited.text


def text_option(name: str, help: str) -> Any:
    """Define an option that takes a text, or `-`."""
    return typer.Option(name, metavar="TEXT", parser=text_of, help=f"{help} With - it is read or your editor opens.")


Reason = Annotated[str | None, text_option("--reason", "The reason. Affected members can read it.")]
NeededReason = Annotated[str, text_option("--reason", "The reason. Affected members can read it.")]
Note = Annotated[str | None, text_option("--note", "Why, for the task's history.")]


def is_person_at_terminal(place: Place) -> bool:
    """Whether an editor can open: a person types here, and sees what it shows."""
    return place.on_terminal and is_terminal() and agents_session(place.environment) is None


def too_long(text: str) -> str | None:
    """Return how to send a text that is longer than the room takes; None if it is not."""
    if len(text) <= TEXT_CHARACTERS:
        return None
    parts = -(-len(text) // TEXT_CHARACTERS)
    return (
        f"It has {len(text):,} characters, and the limit is {TEXT_CHARACTERS:,}. Save it where the readers can reach "
        f"it and post its path, or send it in {parts} parts, each as a reply to the one before."
    )


# ------------------------------------------------------------------ standard input


def _read_input() -> str:
    """Read a text from standard input, without the line ends at its end. Raises Failure."""
    stream = getattr(sys.stdin, "buffer", None)
    found = stream.read(READ_BYTES + 1) if stream is not None else sys.stdin.read(READ_BYTES + 1).encode()
    if len(found) > READ_BYTES:
        raise Failure(
            f"Standard input has more than {READ_BYTES:,} bytes.",
            "Save it where the readers can reach it, and send its path.",
            USAGE,
        )
    try:
        text = found.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Failure("Standard input is not text in UTF-8.", "Convert it first, such as with iconv.", USAGE) from None
    if not text.strip():
        raise Failure("Standard input is empty, so nothing was sent.", "Write a text to it.", USAGE)
    return text.rstrip("\r\n")


# ------------------------------------------------------------------ the editor


def edit(about: str, first: str = "") -> Written:
    """Have a person write a text in an editor. Raises Failure if nothing is left in it, or if the editor fails."""
    file = _save(f"{first}\n\n{CUT}\n{about}\n")
    try:
        code = _run([*_editor(), str(file)])
        text = _above_cut(file.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        file.unlink(missing_ok=True)
        raise Failure(
            f"The editor cannot be started: {error}.", "Set EDITOR, or give the text as an argument.", USAGE
        ) from None
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    if code == 0 and text.strip() and text != first:
        file.write_text(text + "\n", encoding="utf-8")
        file.chmod(PRIVATE)
        return Written(text, file)
    if not text.strip() or text == first:
        file.unlink(missing_ok=True)
    if code in (-signal.SIGINT, 128 + signal.SIGINT):
        say("Nothing was sent.")
        raise KeyboardInterrupt
    if code != 0:
        left = f" Your text is in {file}." if file.exists() else ""
        raise Failure(f"The editor ended with code {code}, so nothing was sent.{left}", "Run the command again.")
    why = "The text is as it was" if first and text == first else "The text is empty"
    raise Failure(f"{why}, so nothing was sent.", "Run the command again, and save a text.", FAILED)


def _above_cut(text: str) -> str:
    """Return what a person wrote above the cut, without blank lines around it."""
    kept = text.partition(CUT)[0]
    return "\n".join(line.rstrip("\r") for line in kept.split("\n")).strip("\n").rstrip()


def _editor() -> list[str]:
    """Return the words that start the person's editor."""
    for name in ("VISUAL", "EDITOR"):
        if words := shlex.split(os.environ.get(name, "")):
            return words
    import shutil

    found = next((path for name in EDITORS if (path := shutil.which(name)) is not None), None)
    if found is None:
        raise Failure("No editor is set.", "Set EDITOR, or give the text as an argument.", USAGE)
    return [found]


def _run(words: list[str]) -> int:
    """Run an editor until it ends; returns its exit code. Ctrl-C is for the editor alone."""
    import subprocess

    with _ignoring_ctrl_c():
        return subprocess.run(words, check=False).returncode


@contextlib.contextmanager
def _ignoring_ctrl_c() -> Iterator[None]:
    """Ignore Ctrl-C in this process, and not in the programs that it starts. Only the main thread gets it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _do_nothing)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _do_nothing(*_: object) -> None:
    """Handle a signal. A handler ends where another program starts; an ignored signal stays ignored there."""


def _save(text: str) -> Path:
    """Save a text in a file that only this user can read."""
    import tempfile

    descriptor, name = tempfile.mkstemp(ENDS, BEGINS)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
    return Path(name)
