"""The JSON values of a file: one in each line, or one or more that go over several lines."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from teamroom.clients.session.failure import USAGE, Failure

MARKS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")
"""How the lines begin that Git leaves where a merge has conflicts."""


@dataclass(frozen=True, slots=True)
class Value:
    """A JSON value and where it is; `fault` says why it could not be read."""

    where: str
    value: Any = None
    fault: str = ""


def values(text: str, name: str) -> list[Value]:
    """The JSON values of a file. Of one with a value in each line, broken lines are values with a fault.

    Raises Failure if the file has no such lines and is not JSON as a whole.
    """
    begins = text.lstrip()[:1]
    if begins == "[":
        return list(_whole(text, name))
    lines = [_line(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    good = sum(isinstance(line.value, dict) for line in lines)
    if good == len(lines) or (good and begins != "{") or not begins:
        return lines
    try:
        return list(_whole(text, name))
    except Failure:
        if good:
            return lines
        raise


def _line(number: int, line: str) -> Value:
    where = f"line {number}"
    if line.startswith(MARKS):
        return Value(where, fault="it is left from a merge with conflicts")
    if has_wrong_bytes(line):
        return Value(where, fault="it is not UTF-8")
    try:
        value = json.loads(line)
    except RecursionError:
        return Value(where, fault="its JSON is nested too deeply")
    except ValueError as error:
        return Value(where, fault=f"it is not JSON: {_reason(error)}")
    return Value(where, value) if isinstance(value, dict | list) else Value(where, fault="it is not a JSON object")


def _whole(text: str, name: str) -> Iterator[Value]:
    """The values of a file, one after the other. Raises Failure."""
    if has_wrong_bytes(text):
        wrong = next(number for number, line in enumerate(text.split("\n"), 1) if has_wrong_bytes(line))
        raise _not_json(name, f"line {wrong} is not UTF-8")
    decoder, at, number = json.JSONDecoder(), 0, 0
    while (at := _next(text, at)) < len(text):
        number += 1
        try:
            value, at = decoder.raw_decode(text, at)
        except RecursionError:
            raise _not_json(name, "it is nested too deeply") from None
        except ValueError as error:
            raise _not_json(name, _reason(error)) from None
        yield Value(f"value {number}", value)


def _next(text: str, at: int) -> int:
    """Where the next value begins: after white space."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "a number in it is too long"


def _not_json(name: str, reason: str) -> Failure:
    return Failure(
        f"{name} cannot be read as JSON: {reason}. Nothing was imported.",
        "Export the tasks again, or name the form of the file with --format.",
        USAGE,
    )


def has_wrong_bytes(line: str) -> bool:
    """Whether a line has bytes that are not UTF-8."""
    return not line.isascii() and any("\udc80" <= character <= "\udcff" for character in line)
