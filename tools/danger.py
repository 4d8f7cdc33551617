"""What a person confirms before a dangerous act."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Danger:
    """What a person is asked before a dangerous act, and the shell command that does the same.

    `always`: wherever the client can ask; else only for a token of a chat client.
    """

    question: Callable[[Any], str]
    shell: Callable[[Any], str]
    always: bool = False


def write_command(name: str, *words: str | None, **options: Any) -> str:
    """A command line of the shell; options without a value are left out, `True` needs none."""
    parts = ["teamroom", name, *(word for word in words if word is not None)]
    for option, value in options.items():
        if value is not None and value is not False:
            parts.append(f"--{option.replace('_', '-')}")
            parts += [] if value is True else [str(value)]
    return shlex.join(parts)
