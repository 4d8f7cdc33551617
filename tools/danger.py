"""What a person confirms before a dangerous act."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from teamroom.server.acts.act import AnyRead


@dataclass(frozen=True)
class Danger:
    """The question that a person confirms, the shell command that does the same, and the path of the page that does.

    A question says in its first `SAID_FIRST` characters what happens to whom. To accept it is the yes.
    `always`: ask in every client that can; otherwise only for tokens of chat clients.
    `typed`: the name that the person must also type, because the act cannot be taken back.
    `shows`: a read with the same arguments, whose reply, in the words of `shown`, follows the question.
    """

    question: Callable[[Any], str]
    shell: Callable[[Any], str]
    page: Callable[[Any], str] = lambda asked: "/acts"
    always: bool = False
    typed: Callable[[Any], str] | None = None
    shows: AnyRead | None = None
    shown: Callable[[Any], str] = str


SAID_FIRST = 90
"""How much of a question every client shows; some cut the rest."""


def page_of(target: str) -> str:
    """The path of the page about a target: a member, an owner's agents or the room."""
    return "/" if target == "room" or ":" in target else f"/members/{target}"


def write_command(name: str, *words: str | None, **options: Any) -> str:
    """A command line of the shell. Options that are None or False are left out; True is written without a value."""
    parts = ["teamroom", name, *(word for word in words if word is not None)]
    for option, value in options.items():
        if value is not None and value is not False:
            parts.append(f"--{option.replace('_', '-')}")
            parts += [] if value is True else [str(value)]
    return shlex.join(parts)
