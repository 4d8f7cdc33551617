"""Reads the arguments of a call as its sender meant them, in this one place for every tool.

Models and clients send lists as JSON text, null for what they leave out, numbers as text, and names of their own. What
can mean only one thing is read so. A name that is nearly one of the tool's is refused, because the act would otherwise
be done without it. What no tool knows is left out, and the reply names it.
"""

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Set
from difflib import SequenceMatcher
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from teamroom.server.acts.act import TOKEN_IN_TEXT
from teamroom.server.facts.mentions import prose_fields
from teamroom.server.logs import without_secrets
from teamroom.server.refusals import Code, Refusal
from teamroom.server.rules.addresses import Address
from teamroom.server.rules.characters import count_removed
from teamroom.server.rules.names import AT, normalize_name
from teamroom.server.rules.text import MARKS, TEXT_CHARACTERS, cite
from teamroom.server.rules.wrong_values import say_wrong
from teamroom.tools.tool import Tool

SPEAKERS = frozenset(
    {"author", "from", "sender", "as", "actor", "agent", "agent_id", "member", "on_behalf_of"},
)
"""Names under which clients say who acts. The token alone says that (ID2)."""

BOOKKEEPING = frozenset({"tool_call_id", "session_id", "action", "chat_input"})
"""What clients add to every call for themselves, although it may look like a name of a tool (n8n)."""

NEAR = 0.8
"""Two names are nearly the same from this share of equal characters on."""

IGNORED_NAMED = 5
"""How many of the names that are left out a reply names."""

NAME_CHARACTERS, VALUE_CHARACTERS = 40, 200
"""How much of a name and of a text a refusal repeats."""

ITEMS_REPEATED, DEEPEST_REPEATED = 20, 4
"""How many items of a list a refusal repeats, and how deep."""

FAULTS_NAMED = 3

CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
WHOLE = re.compile(r"[+-]?\d{1,20}(?:\.0+)?")


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What a type asks for, without what limits it and without None.

    `item`: the same of a list's items. `options`: the words from which one is chosen.
    """

    type: Any
    item: "Wanted | None" = None
    options: tuple[Any, ...] = ()
    is_model: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A field of a model, as calls are read by it."""

    wanted: Wanted
    is_required: bool
    may_be_empty: bool


Fields = dict[str, FieldInfo]


@dataclasses.dataclass(frozen=True, slots=True)
class Understood:
    """The arguments as the tool's model, the names that were left out, without secrets, and what texts lost."""

    arguments: Any
    ignored: tuple[str, ...] = ()
    removed: Counter[str] = dataclasses.field(default_factory=Counter)

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to say of how the arguments were read."""
        return not self.ignored and not self.removed


def read_arguments(tool: Tool, sent: dict[str, Any] | None, caller: str, known: frozenset[str]) -> Understood:
    """What the arguments of a call mean. `known`: every name that any tool knows. Raises Refusal."""
    reader = _Reader(tool, caller, known)
    meant = reader.read(sent or {}, _read_by(tool.arguments), "")
    if reader.unclear:
        raise _refuse(tool, meant, "; ".join(reader.unclear[:FAULTS_NAMED]))
    removed: Counter[str] = Counter()
    try:
        return Understood(tool.arguments.model_validate(meant, context=removed), tuple(reader.ignored), removed)
    except ValidationError as error:
        raise _refuse_values(tool, meant, error) from None


@cache
def fields_of(model: type[BaseModel]) -> Fields:
    """The fields of a model by the names under which they are sent: `for` cannot be a name in Python."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


@cache
def _read_by(model: type[BaseModel]) -> dict[str, Field]:
    """The same fields, looked at once: every call needs them."""
    return {
        name: Field(_wanted_by(field.annotation), field.is_required(), _may_be_empty(field))
        for name, field in fields_of(model).items()
    }


def _wanted_by(annotation: Any) -> Wanted:
    wanted = bare(annotation)
    if get_origin(wanted) is list:
        return Wanted(wanted, item=_wanted_by(get_args(wanted)[0]))
    options = get_args(wanted) if get_origin(wanted) is Literal else ()
    return Wanted(wanted, options=options, is_model=isinstance(wanted, type) and issubclass(wanted, BaseModel))


def names_of(tools: Iterator[Tool]) -> frozenset[str]:
    """Every argument's name of these tools, those inside of others too."""
    return frozenset(name for tool in tools for name in _names(tool.arguments))


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in _read_by(model).items():
        yield name
        inner = field.wanted.item or field.wanted
        if inner.is_model:
            yield from _names(inner.type)


class _Reader:
    """Reads one call."""

    def __init__(self, tool: Tool, caller: str, known: frozenset[str]) -> None:
        self._tool, self._caller, self._known = tool, caller, known
        self.ignored: list[str] = []
        self.unclear: list[str] = []

    def read(self, sent: dict[str, Any], fields: dict[str, Field], within: str) -> dict[str, Any]:
        """The values by the tool's own names. `within`: the name of the object that they are in."""
        meant: dict[str, Any] = {}
        for key, value in sent.items():
            name = self._own_name(key, value, fields, within)
            if name is None or _is_left_out(value, fields[name], within):
                continue
            value = self._meant(value, fields[name].wanted, within, name)
            before = meant.setdefault(name, value)
            if before is not value and before != value:  # no number is equal to NaN, not even itself
                self.unclear.append(f"{_shown(within + name)} is given twice")
        return meant

    def _own_name(self, key: str, value: Any, fields: dict[str, Field], within: str) -> str | None:
        """The tool's own name that is meant, also where the call is refused for it; None to leave the value out."""
        name = key if key in fields else spelled(key)
        if name in fields:
            return name
        if value is None or value == "":
            return None
        if not within and name in SPEAKERS:
            if not _is_caller(value, self._caller):
                self.unclear.append(f"{_shown(key)} names somebody else; the token alone says who acts")
            return None
        near = None if name in BOOKKEEPING else nearest(name, fields)
        if near is not None:
            self.unclear.append(f"there is no {_shown(within + key)}; {within + near} is meant")
        elif name in self._known and name not in BOOKKEEPING:
            self.unclear.append(f"{self._tool.name} takes no {_shown(within + key)}")
        else:
            self.ignored.append(_safe(within + key))
        return near

    def _meant(self, value: Any, wanted: Wanted, within: str, name: str) -> Any:
        """A value in the shape that its type asks for, if it can mean only one thing."""
        if wanted.item is not None:
            items, item = _as_list(value), wanted.item
            return value if items is None else [self._meant(one, item, within, name) for one in items]
        if wanted.is_model:
            inner = _parsed(value, dict) if isinstance(value, str) else value
            return self.read(inner, _read_by(wanted.type), f"{within}{name}.") if isinstance(inner, dict) else value
        return _as_scalar(value, wanted)


# ------------------------------------------------------------------ names


def spelled(key: str) -> str:
    """A name as the room spells its own: `replyTo`, `reply-to` and `Reply To` are `reply_to`."""
    return re.sub(r"[\s\-_]+", "_", CAPITALS.sub("_", key.strip())).lower()


def nearest(name: str, fields: Collection[str]) -> str | None:
    """The one argument that a name is nearly, such as `depends_on` for `dependson` and `task` for `task_id`."""
    parts = set(name.split("_"))
    found = [
        field
        for field in fields
        if set(field.split("_")) <= parts or SequenceMatcher(None, name, field).ratio() >= NEAR
    ]
    return max(found, key=lambda field: SequenceMatcher(None, name, field).ratio(), default=None)


def _is_caller(value: Any, caller: str) -> bool:
    return isinstance(value, str) and normalize_name(value.lstrip(AT)) == normalize_name(caller)


# ------------------------------------------------------------------ values


def _is_left_out(value: Any, field: Field, within: str) -> bool:
    """Whether a value only says that there is none. Inside an object, an empty text may be the new value."""
    if field.is_required or (value is not None and value != ""):
        return False
    return value is None or not within or not field.may_be_empty


def _may_be_empty(field: FieldInfo) -> bool:
    parts = [field.annotation, *get_args(field.annotation)]
    found = [item for part in parts for item in getattr(part, "__metadata__", ())] + field.metadata
    least = [item.min_length for part in found for item in _constraints(part) if hasattr(item, "min_length")]
    return bare(field.annotation) is str and not any(least)


def _constraints(item: Any) -> list[Any]:
    return item.metadata if isinstance(item, FieldInfo) else [item]


def _as_list(value: Any) -> list[Any] | None:
    """A list that was sent as JSON text, or one item where a list is meant; None if it is neither."""
    if isinstance(value, list):
        return value
    if isinstance(value, str) and (found := _parsed(value, list)) is not None:
        return list(found)
    return [value] if isinstance(value, str | int | dict) and not isinstance(value, bool) else None


def _parsed(text: str, kind: type) -> Any:
    """What a JSON text says, if it says such a thing."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, kind) else None


def _as_scalar(value: Any, wanted: Wanted) -> Any:
    if wanted.type is int:
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return int(value.partition(".")[0]) if isinstance(value, str) and WHOLE.fullmatch(value.strip()) else value
    if wanted.options and isinstance(value, str):
        return next((option for option in wanted.options if option == value.strip().lower()), value)
    if isinstance(value, int) and _is_text(wanted.type) and not isinstance(value, bool):
        return str(value)
    return value


def _is_text(wanted: Any) -> bool:
    """Whether it is written as a text: a text, or an id, which is a number inside."""
    return wanted is str or getattr(wanted, "__supertype__", None) is int


def bare(annotation: Any) -> Any:
    """A type without what limits it, and without None."""
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        options = [option for option in get_args(annotation) if option is not NoneType]
        return bare(options[0]) if len(options) == 1 else annotation
    return annotation


# ------------------------------------------------------------------ refusals


def _refuse_values(tool: Tool, meant: dict[str, Any], error: ValidationError) -> Refusal:
    """A refusal that names the first three faults, and gives the call with a place for what must change."""
    faults = error.errors(include_url=False)[:FAULTS_NAMED]
    why = "; ".join(f"{_path(fault['loc'])}: {say_wrong(fault)}" for fault in faults)
    if any(fault["type"] == TOKEN_IN_TEXT for fault in faults):
        fix = "Rotate that token: teamroom enroll NAME --rotate, or ask your owner to. Then call again without it."
        return Refusal("invalid", f"{why}.", fix)
    too_large = any(fault["type"] in ("string_too_long", "too_long") for fault in faults)
    wrong = {str(fault["loc"][0]) for fault in faults if fault["loc"]}
    refusal = _refuse(tool, meant, why, wrong, "too_large" if too_large else "invalid")
    long = [fault for fault in faults if fault["type"] == "string_too_long"]
    if any(_is_prose(tool.arguments, fault["loc"]) for fault in long):
        refusal.fix += PARTS
    elif any(fault["ctx"]["max_length"] >= VALUE_CHARACTERS for fault in long):
        refusal.fix += FILE
    return refusal


FILE = " Put what is longer into a file, and give its path and SHA-256."
PARTS = (
    f" Send what is longer in parts of at most {TEXT_CHARACTERS} characters, in one thread: post_message with the "
    "first part, then with each other part and reply_to that message. Or put it into a file, and give its path and "
    "SHA-256."
)


def _is_prose(model: type[BaseModel], location: tuple[int | str, ...]) -> bool:
    """Whether the field at a place takes prose."""
    names = [part for part in location if isinstance(part, str)]
    prose = dict(prose_fields(model))
    inner = prose.get(names[0], False)
    if not inner:
        return names[0] in prose
    return _is_prose(bare(model.model_fields[names[0]].annotation), tuple(names[1:]))


def _refuse(
    tool: Tool, meant: dict[str, Any], why: str, wrong: Set[str] = frozenset(), code: Code = "invalid"
) -> Refusal:
    """The corrected call; a place in angle brackets stands for what only the caller knows."""
    fields = fields_of(tool.arguments)
    hidden = wrong | _secret_in(fields, meant)
    call = {name: f"<{name}>" if name in hidden else _repeated(value) for name, value in meant.items()}
    call |= {name: f"<{name}>" for name, field in fields.items() if field.is_required() and name not in call}
    optional = [name for name, field in fields.items() if not field.is_required()]
    fix = f"Call {tool.name} with “{_as_json(call)}”."
    if optional:
        fix += f" Optional: {', '.join(optional)}."
    return Refusal(code, f"{why}.", fix)


def _secret_in(fields: Fields, meant: dict[str, Any]) -> set[str]:
    """The arguments that no refusal repeats: those that take an address, and with them all that look like one."""
    takes = {name for name, field in fields.items() if bare(field.annotation) is Address}
    return takes | {name for name, value in meant.items() if takes and "://" in str(value)}


def _as_json(call: dict[str, Any]) -> str:
    """A call as JSON on one line, in which nothing closes a quotation, steers or hides."""
    text = json.dumps(call, ensure_ascii=False)
    return "".join(char if char.isprintable() and ord(char) not in MARKS else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return json.dumps(char)[1:-1]


def _repeated(value: Any, depth: int = 0) -> Any:
    """A value as a refusal repeats it: long and deep ones cut, without secrets."""
    if isinstance(value, str):
        shown = without_secrets(value)
        return shown if len(shown) <= VALUE_CHARACTERS else f"{shown[:VALUE_CHARACTERS]}…"
    if isinstance(value, list | dict) and depth == DEEPEST_REPEATED:
        return "…"
    if isinstance(value, list):
        shown_items = [_repeated(item, depth + 1) for item in value[:ITEMS_REPEATED]]
        return shown_items + ["…"] * (len(value) > ITEMS_REPEATED)
    if isinstance(value, dict):
        return {_safe(str(name)): _repeated(item, depth + 1) for name, item in value.items()}
    return value


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(_shown(str(part)) for part in location) or "arguments"


def _shown(name: str) -> str:
    return cite(_safe(name))


def _safe(name: str) -> str:
    return without_secrets(name[:NAME_CHARACTERS])


def say_removed(removed: Counter[str]) -> str:
    """What a reply says of characters that texts lost."""
    return f"Removed from your text: {count_removed(removed)}."


def say_ignored(ignored: tuple[str, ...]) -> str:
    """What a reply says of names that were left out."""
    shown = ", ".join(map(cite, ignored[:IGNORED_NAMED]))
    more = len(ignored) - IGNORED_NAMED
    return f"Left out, because no tool knows it: {shown}{f' and {more} more' if more > 0 else ''}."
