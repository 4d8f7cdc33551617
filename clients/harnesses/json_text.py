"""JSON with comments and trailing commas: one part of a text is changed, and every other byte stays.

No library for Python does that. The scanner notes where each part lies; an edit replaces characters there.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from teamroom.clients.harnesses.syntax import DEEPEST, BrokenError, Steps

SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*[\s\S]*?\*/)*")
STRING = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"')
SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
REST_OF_LINE = re.compile(r"[ \t]*(?:/\*[^\n]*?\*/[ \t]*)*(?://[^\r\n]*)?")
BLANKS = re.compile(r"[ \t]*")

UNIT = "  "
"""The indentation of a file that shows none."""

Edit = tuple[int, int, str]
"""Replaces what lies between two positions."""


@dataclass(slots=True)
class Member:
    """A key with its value, or an item. `start`: of the key; `comma`: of the comma after it, if there is one."""

    key: str | int
    start: int
    node: "Node"
    comma: int | None = None


@dataclass(slots=True)
class Node:
    """A value between two positions. `bracket`: the first character of an object or list, empty for a scalar."""

    start: int
    end: int
    bracket: str = ""
    scalar: Any = None
    members: list[Member] = field(default_factory=list)

    def value(self) -> Any:
        """Return the value as Python has it. Of equal keys, the last one counts."""
        if self.bracket == "{":
            return {member.key: member.node.value() for member in self.members}
        return [member.node.value() for member in self.members] if self.bracket else self.scalar

    def position(self, key: str | int) -> int:
        """Return which member has a key; of equal keys, the last one."""
        return next(at for at in range(len(self.members) - 1, -1, -1) if self.members[at].key == key)


class Json:
    """JSON, also with comments and trailing commas."""

    name = "JSON"

    def load(self, text: str) -> Any:
        """Return the value of a text."""
        return {} if not text.strip() else _scan(text).value()

    def insert_key(self, text: str, container: Steps, key: str, value: Any) -> str:
        """Return the text with one more key at the end of an object."""
        if not text.strip():
            return _pretty({key: value}, "", UNIT) + "\n"
        return _insert(text, _find(text, container), f"{_quoted(key)}: ", value)

    def append_item(self, text: str, container: Steps, value: Any) -> str:
        """Return the text with one more item at the end of a list."""
        return _insert(text, _find(text, container), "", value)

    def remove(self, text: str, path: Steps) -> str:
        """Return the text without a key or item, and without the line that it leaves blank."""
        container = _find(text, path[:-1])
        text = _splice(text, _removal(text, container, container.position(path[-1])))
        container = _find(text, path[:-1])
        if not container.members and not text[container.start + 1 : container.end - 1].strip():
            return _splice(text, [(container.start + 1, container.end - 1, "")])
        return text


# ------------------------------------------------------------------ reading


def _scan(text: str) -> Node:
    at = _skip(text, 0)
    node = _scan_value(text, at, DEEPEST)
    if _skip(text, node.end) != len(text):
        raise _broken(text, _skip(text, node.end))
    return node


def _scan_value(text: str, at: int, depth: int) -> Node:
    if depth == 0:
        raise BrokenError("it is nested too deeply")
    if text[at : at + 1] in ("{", "["):
        return _scan_members(text, at, depth)
    if (found := STRING.match(text, at)) is not None:
        return Node(at, found.end(), scalar=_string(text, at, found[0]))
    if (found := SCALAR.match(text, at)) is not None:
        return Node(at, found.end(), scalar=json.loads(found[0]))
    raise _broken(text, at)


def _scan_members(text: str, start: int, depth: int) -> Node:
    node = Node(start, start, text[start])
    closing = "}" if node.bracket == "{" else "]"
    at = _skip(text, start + 1)
    while text[at : at + 1] != closing:
        if node.members and node.members[-1].comma is None:
            raise _broken(text, at)
        member = _scan_member(text, at, node, depth)
        node.members.append(member)
        at = _skip(text, member.node.end)
        if text[at : at + 1] == ",":
            member.comma = at
            at = _skip(text, at + 1)
    node.end = at + 1
    return node


def _scan_member(text: str, at: int, node: Node, depth: int) -> Member:
    if node.bracket == "[":
        return Member(len(node.members), at, _scan_value(text, at, depth - 1))
    if (key := STRING.match(text, at)) is None:
        raise _broken(text, at)
    colon = _skip(text, key.end())
    if text[colon : colon + 1] != ":":
        raise _broken(text, colon)
    return Member(_string(text, at, key[0]), at, _scan_value(text, _skip(text, colon + 1), depth - 1))


def _skip(text: str, at: int) -> int:
    """Return the position after white space and comments."""
    found = SPACE.match(text, at)
    return found.end() if found is not None else at


def _string(text: str, at: int, quoted: str) -> str:
    try:
        return str(json.loads(quoted, strict=False))
    except ValueError:
        raise _broken(text, at) from None


def _broken(text: str, at: int) -> BrokenError:
    return BrokenError(f"line {text.count(chr(10), 0, at) + 1} is not JSON")


def _find(text: str, path: Steps) -> Node:
    node = _scan(text)
    for key in path:
        node = node.members[node.position(key)].node
    return node


# ------------------------------------------------------------------ writing


def _insert(text: str, node: Node, head: str, value: Any) -> str:
    if node.members and "\n" not in text[node.start : node.end]:
        last = node.members[-1]
        entry = head + _quoted(value)
        at, between = (last.node.end, ", ") if last.comma is None else (last.comma + 1, " ")
        return _splice(text, [(at, at, between + entry)])
    outer = _indentation(text, node.start)
    indent = _members_indentation(text, node, outer)
    entry = f"\n{indent}{head}{_dump(text, value, indent)}"
    inside = text[node.start + 1 : node.end - 1]
    if node.members:
        edits = _after_last(text, node.members[-1], entry)
    elif "\n" in inside or inside.strip():  # its end is on a line of its own, or there are comments
        edits = [(node.start + 1, node.start + 1, entry)]
    else:
        edits = [(node.start + 1, node.end - 1, f"{entry}\n{outer}")]
    line_end = "\r\n" if "\r\n" in text else "\n"
    return _splice(text, [(start, end, new.replace("\n", line_end)) for start, end, new in edits])


def _after_last(text: str, last: Member, entry: str) -> list[Edit]:
    """Return the edits that add a member below the last one, and below the comment on its line."""
    end = last.node.end if last.comma is None else last.comma + 1
    rest = REST_OF_LINE.match(text, end)
    at = end if rest is None else rest.end()
    return ([(end, end, ",")] if last.comma is None else []) + [(at, at, entry)]


def _dump(text: str, value: Any, indent: str) -> str:
    return _pretty(value, indent, "\t" if "\t" in indent else _unit(text))


def _pretty(value: Any, indent: str, unit: str) -> str:
    """Return a value as JSON on several lines, with a list of scalars on one."""
    inner = indent + unit
    if isinstance(value, dict) and value:
        lines = [f"{_quoted(key)}: {_pretty(one, inner, unit)}" for key, one in value.items()]
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        lines = [_pretty(one, inner, unit) for one in value]
    else:
        return _quoted(value)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n" + ",\n".join(inner + line for line in lines) + f"\n{indent}{closing}"


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _unit(text: str) -> str:
    """Return the indentation of the first line that has one."""
    found = re.search(r"\n([ \t]+)[\"\]}\[{]", text)
    return UNIT if found is None else found[1]


def _members_indentation(text: str, node: Node, outer: str) -> str:
    if node.members:
        line = text.rfind("\n", 0, node.members[0].start) + 1
        if not (before := text[line : node.members[0].start]).strip():
            return before
    return outer + _unit(text)


def _indentation(text: str, at: int) -> str:
    """Return the white space that begins the line of a position."""
    found = BLANKS.match(text, text.rfind("\n", 0, at) + 1)
    return "" if found is None else found[0]


def _removal(text: str, node: Node, position: int) -> list[Edit]:
    member = node.members[position]
    start, end = member.start, member.node.end if member.comma is None else member.comma + 1
    edits = list[Edit]()
    before = node.members[position - 1].comma if position else None
    if member.comma is None and before is not None:
        edits.append((before, before + 1, ""))
    line, line_end = text.rfind("\n", 0, start), text.find("\n", end)
    if line >= 0 and line_end >= 0 and not text[line:start].strip() and not text[end:line_end].strip():
        start, end = line - (text[line - 1 : line] == "\r"), line_end - (text[line_end - 1 : line_end] == "\r")
    elif member.comma is not None and (blanks := BLANKS.match(text, end)) is not None:
        end = blanks.end()
    elif before is not None and not text[before + 1 : start].strip(" \t"):
        start = before + 1
    return [*edits, (start, end, "")]


def _splice(text: str, edits: list[Edit]) -> str:
    """Carry edits out, from the last one. At one place, they follow each other as they are listed."""
    for start, end, new in sorted(edits, key=lambda edit: edit[:2])[::-1]:
        text = text[:start] + new + text[end:]
    return text
