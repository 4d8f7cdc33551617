"""The entries that a join adds to a config, and the merge: it adds them, finds them again and removes only them."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from teamroom.clients.harnesses.json_text import Json
from teamroom.clients.harnesses.syntax import BrokenError, Steps, Syntax
from teamroom.clients.harnesses.toml_text import Toml
from teamroom.clients.harnesses.yaml_text import Yaml

SYNTAXES: dict[str, Syntax] = {"json": Json(), "toml": Toml(), "yaml": Yaml()}
"""The syntaxes of configs, as the record names them."""

HANDLERS = "hooks"
"""The key under which a group of hooks has its handlers."""


NOT_ALONE = "it cannot be changed without changing other parts of it"


class ConflictError(ValueError):
    """A config has something else where an entry belongs. The message says what."""


@dataclass(frozen=True)
class Put:
    """A key with its value, under the keys that lead to it. `is_default`: any other value there will do as well."""

    path: tuple[str, ...]
    value: Any
    is_default: bool = False


@dataclass(frozen=True)
class Item:
    """One item of the list under these keys. `mark`: a text in it by which it is found after somebody changed it."""

    path: tuple[str, ...]
    value: Any
    mark: str


Entry = Put | Item
Path = tuple[str, ...]


@dataclass(frozen=True)
class Merged:
    """A text with entries in it: those that it did not have before, and the objects and lists that were made for them.

    What a person wrote before is never an entry of ours, so it is not removed later.
    """

    text: str
    added: tuple[Entry, ...]
    created: tuple[Path, ...]


def merge(syntax: Syntax, text: str, entries: Iterable[Entry]) -> Merged:
    """Return a text with entries, every other part of it unchanged. Raises BrokenError, ConflictError."""
    before = _object(syntax, text)
    added, created = list[Entry](), list[Path]()
    expected = syntax.load(text)
    for entry in entries:
        if is_in(before, entry):
            continue
        added.append(entry)
        if is_in(expected, entry):
            continue
        text, made = _add(syntax, text, entry)
        created += made
        _add_to_value(expected, entry)
        _check(syntax, text, expected)
    return Merged(text, tuple(added), tuple(created))


def strip(syntax: Syntax, text: str, entries: Iterable[Entry], created: Iterable[Path]) -> str:
    """Return a text without entries, wherever they are now, every other part unchanged. Raises BrokenError.

    Of the objects and lists that were made for them, those that are empty now go too.
    """
    ours = set(created)
    for entry in entries:
        while (found := _place_of(_object(syntax, text), entry)) is not None:
            text = _without(syntax, text, found, ours)
    for path in sorted(ours, key=len, reverse=True):
        found_value = _value_at(_object(syntax, text), path)
        if found_value in ({}, []) and not isinstance(found_value, bool):
            text = _without(syntax, text, path, ours)
    return text


def is_in(value: Any, entry: Entry) -> bool:
    """Whether a config has an entry."""
    found = _value_at(value, entry.path)
    if isinstance(entry, Put):
        return _is_same(found, entry.value) or (entry.is_default and found is not None)
    return isinstance(found, list) and any(_is_same(one, entry.value) for one in found)


# ------------------------------------------------------------------ adding


def _add(syntax: Syntax, text: str, entry: Entry) -> tuple[str, list[Path]]:
    """Add one entry; returns the text, and the objects and lists that were made for it."""
    whole = _object(syntax, text)
    for depth in range(len(entry.path)):
        inner = _value_at(whole, entry.path[:depth])
        if not isinstance(inner, dict):
            raise ConflictError(f"{_name(entry.path[:depth])} is not an object")
        key = entry.path[depth]
        if key not in inner:
            value = entry.value if isinstance(entry, Put) else [entry.value]
            for outer in reversed(entry.path[depth + 1 :]):
                value = {outer: value}
            last = len(entry.path) + (isinstance(entry, Item))
            made = [entry.path[:length] for length in range(depth + 1, last)]
            return syntax.insert_key(text, entry.path[:depth], key, value), made
    found = _value_at(whole, entry.path)
    if isinstance(entry, Put):
        raise ConflictError(f"it already has {_name(entry.path)}, which join did not write")
    if not isinstance(found, list):
        raise ConflictError(f"{_name(entry.path)} is not a list")
    return syntax.append_item(text, entry.path, entry.value), []


def _add_to_value(whole: Any, entry: Entry) -> None:
    """Add one entry to a value as `_add` does to its text."""
    inner = whole
    for key in entry.path[:-1]:
        inner = inner.setdefault(key, {})
    if isinstance(entry, Put):
        inner[entry.path[-1]] = entry.value
    else:
        inner.setdefault(entry.path[-1], []).append(entry.value)


def _check(syntax: Syntax, text: str, expected: Any) -> None:
    """Raise BrokenError if a changed text does not mean what it should: then nothing is written."""
    if not _is_same(syntax.load(text), expected):
        raise BrokenError(NOT_ALONE)


# ------------------------------------------------------------------ removing


def _without(syntax: Syntax, text: str, path: Steps, ours: Container[Path]) -> str:
    """Return a text without what is at a path, but with the objects above it, unless they are ours."""
    expected = syntax.load(text)
    inner = expected
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    shorter = syntax.remove(text, path)
    if not _is_same(_without_empty(syntax.load(shorter), path[:-1]), _without_empty(expected, path[:-1])):
        raise BrokenError(NOT_ALONE)
    return _with_parents(syntax, shorter, path, ours)


def _with_parents(syntax: Syntax, text: str, path: Steps, ours: Container[Path]) -> str:
    """Return a text with the objects above a removed entry that it still had: TOML drops one without a header.

    Those that are ours may go.
    """
    for length in range(1, len(path)):
        keys = tuple(str(step) for step in path[:length])
        if any(isinstance(step, int) for step in path[:length]):
            break
        if keys not in ours and _value_at(_object(syntax, text), keys) is None:
            text = syntax.insert_key(text, keys[:-1], keys[-1], {})
    return text


def _without_empty(value: Any, path: Steps) -> Any:
    """Return a value without the empty objects at the end of a path: TOML has none without a header."""
    if not path:
        return value
    if isinstance(value, dict) and path[0] in value:
        inner = _without_empty(value[path[0]], path[1:])
        return {key: one for key, one in {**value, path[0]: inner}.items() if key != path[0] or inner != {}}
    return value


def _place_of(value: Any, entry: Entry) -> Steps | None:
    """Return where an entry is in a config; None if it is gone.

    A key with an object is ours whatever the object holds now; a key with anything else only with our value. An item
    of a list is ours if it is as we wrote it. A group of hooks that somebody added to lends us our handler in it.
    """
    found = _value_at(value, entry.path)
    if isinstance(entry, Put):
        is_ours = isinstance(found, dict) if isinstance(entry.value, dict) else _is_same(found, entry.value)
        return entry.path if is_ours and found is not None else None
    if not isinstance(found, list):
        return None
    for at, item in enumerate(found):
        if _is_same(item, entry.value) or (entry.mark and _has(item, entry.mark) and not _is_group(item)):
            return (*entry.path, at)
        if entry.mark and _is_group(item):
            ours = [number for number, one in enumerate(item[HANDLERS]) if _has(one, entry.mark)]
            if len(ours) == len(item[HANDLERS]) and ours:
                return (*entry.path, at)
            if ours:
                return (*entry.path, at, HANDLERS, ours[0])
    return None


def _is_group(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get(HANDLERS), list)


def _has(value: Any, mark: str) -> bool:
    """Whether one of the texts directly in an object is a mark."""
    return isinstance(value, dict) and mark in value.values()


# ------------------------------------------------------------------ values


def _object(syntax: Syntax, text: str) -> Any:
    value = syntax.load(text)
    if not isinstance(value, dict):
        raise BrokenError("its top is not an object")
    return value


def _value_at(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal; unlike Python, with 1 and true told apart."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (one != one and other != other)
    return type(one) is type(other) and bool(one == other)


def _name(path: Sequence[str]) -> str:
    return ".".join(path) or "its top"
