"""What a person typed: ids, and the command line that ran, as it can be pasted again."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from teamroom.clients.session.place import is_name
from teamroom.clients.session.program import NAME as PROGRAM
from teamroom.clients.shell.app import bare
from teamroom.server.facts.ids import (
    Kind,
    decision_name,
    message_name,
    offer_name,
    parse,
    parse_decision,
    parse_message,
    parse_offer,
    parse_task,
    task_name,
)

MINUS = "-"
"""The argument that stands for standard input."""


def _id(parse: Callable[[str], int], name: Callable[[int], str]) -> Callable[[str], str]:
    """Return a parser that writes an id as the room does."""

    def read(text: str) -> str:
        try:
            return name(parse(text))
        except ValueError as error:
            raise typer.BadParameter(f"{text!r} is none: {error}") from None

    return read


task_id = _id(parse_task, task_name)
message_id = _id(parse_message, message_name)
offer_id = _id(parse_offer, offer_name)
decision_id = _id(parse_decision, decision_name)

Task = Annotated[str, typer.Argument(parser=task_id, metavar="TASK", help="The task, such as T-12, t-12 or 12.")]
Message = Annotated[str, typer.Argument(parser=message_id, metavar="MESSAGE", help="The message, such as M-7.")]


def find_kind(text: str) -> Kind | None:
    """Return what an id names, however its letter is written; None for a bare number and for anything else."""
    found = parse(text.strip().upper())
    return None if found is None else found[0]


def names(given: Sequence[str] | None) -> list[str] | None:
    """Return names that were given one by one or with commas, without their @. Raises BadParameter."""
    found = [bare(name.strip()) for one in given or () for name in one.split(",")]
    for name in found:
        if not is_name(name):
            raise typer.BadParameter(f"{name!r} is not the name of a member")
    return found or None


def again(
    context: typer.Context,
    arguments: Mapping[str, str | Sequence[str]] | None = None,
    options: Mapping[str, Any] | None = None,
    fed_from: Path | None = None,
) -> str:
    """Return the command line that ran as it can be pasted: quoted, with other arguments and options where given.

    `fed_from`: the file that its standard input comes from.
    """
    command: Any = context.command
    given = {**context.params, **(arguments or {}), **(options or {})}
    words, last = _path(context), list[str]()
    for one in command.params:
        value = given.get(one.name)
        if value is None or value is False or value in ((), []):
            continue
        values = list(value) if isinstance(value, list | tuple) else [value]
        if one.param_type_name == "argument":
            last += map(_word, values)
        elif value is True:
            words.append(one.opts[0])
        elif one.name in (options or {}) or value != one.default:
            words += [word for each in values for word in (one.opts[0], _word(each))]
    if any(word.startswith("-") and word != MINUS for word in last):
        words.append("--")
    redirected = "" if fed_from is None else f" < {shlex.quote(str(fed_from))}"
    return f"{shlex.join([PROGRAM, *words, *last])}{redirected}"


def _path(context: Any) -> list[str]:
    """Return the words that name the command, without the program's."""
    return [] if context.parent is None else [*_path(context.parent), str(context.info_name)]


def _word(value: Any) -> str:
    """Return the value of an argument or an option as it is typed."""
    if isinstance(value, Path):
        return str(value.expanduser().absolute())
    return f"{value:g}s" if isinstance(value, float) else str(value)
