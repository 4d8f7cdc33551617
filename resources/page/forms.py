"""Forms for acts, made from the models of their arguments: what a tool takes, a form of the page takes too."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from teamroom.server.acts.act import AnyAct
from teamroom.server.refusals import Refusal
from teamroom.server.rules.spans import parse_span

TYPED = "typed"
"""The field in which a person types the name of what cannot be taken back."""

THEN = "then"
"""The field with the path to go back to."""

REQUEST_ID = "request_id"
"""The field that makes a form that is sent twice one act."""

OWN_FIELDS = frozenset({TYPED, THEN, REQUEST_ID})

LONG_CHARACTERS = 200
"""Texts that may be longer get more than one line."""

SECRET = frozenset({"add_channel"})
"""Arguments that hold a password: a form neither shows what is typed nor fills it in again."""

Kind = Literal["line", "area", "choice", "number", "span", "check", "lines", "pairs", "secret", "json"]

HINTS: dict[Kind, str] = {
    "lines": "one on each line",
    "json": "a list, as JSON",
    "span": "such as 30m, 2h or 1d",
}


LINK, OTHER = "link", "other"
"""The kinds of what a line names without saying its kind."""


@dataclass(frozen=True, slots=True)
class Pair:
    """How an object of two texts is written on one line: the names of both, and what stands between them."""

    first: str
    second: str
    between: str
    example: str

    def read(self, line: str, kinds: tuple[str, ...]) -> dict[str, str]:
        """The object that a line means. `kinds`: what the first text can be, if not everything.

        A line without what stands between is the second text; then an address is a link.
        """
        first, found, second = line.partition(self.between)
        if found and (not kinds or first.strip().lower() in kinds):
            return {self.first: first.strip(), self.second: second.strip()}
        kind = {self.first: LINK if "://" in line else OTHER} if kinds else {}
        return {**kind, self.second: line}


PAIRS = (
    Pair("kind", "ref", ":", "test: pytest -q: 212 passed"),
    Pair("ref", "value", "=", "plan.md = HASH"),
    Pair("capability", "value", "=", "repo:acme/api = VALUE"),
)
"""The objects that lists have. An object that has the names of several is written as the first."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    `name`: of the argument, such as `title`, or `changes.title` for one inside another. `kind` lines: a list of texts,
    one on each line; pairs: a list of objects of two texts, one on each line; json: anything else.
    """

    name: str
    label: str
    kind: Kind
    choices: tuple[str, ...] = ()
    is_required: bool = False
    hint: str = ""
    value: str = ""
    pair: Pair | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """A form for one act. `fixed`: what the page fills in. `typed`: the name that must be typed to confirm it.

    `about`: whom or what the button acts on, for those who hear the page. `style`: `stop` pauses at once, with an undo.
    """

    act: str
    button: str
    fields: tuple[Field, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()
    typed: str = ""
    style: str = ""
    about: str = ""

    @property
    def is_inline(self) -> bool:
        """Whether it is only a button."""
        return not (self.fields or self.typed)


def form(
    act: AnyAct,
    button: str,
    *names: str,
    typed: str = "",
    style: str = "",
    about: str = "",
    values: Mapping[str, str] | None = None,
    **fixed: str,
) -> Form:
    """A form that asks for the named arguments of an act. `values`: what its fields contain at first."""
    given = values or {}
    fields = tuple(field_of(act, name, given.get(name, "")) for name in names)
    return Form(act.name, button, fields, tuple(fixed.items()), typed, style, about)


def whole_form(act: AnyAct, button: str) -> Form:
    """A form that asks for every argument of an act."""
    return form(act, button, *_schema(act)["properties"])


def field_of(act: AnyAct, name: str, value: str = "") -> Field:
    """The field for an argument of an act. Raises KeyError if the act has no such argument."""
    schema = _schema(act)
    outer, within = {}, schema
    for part in name.split("."):
        outer = within
        within = _resolved(outer["properties"][part], schema)
    last = name.rpartition(".")[2]
    is_required = last in outer.get("required", ())
    kind, pair = "secret" if last in SECRET else _kind(within, schema, is_required), _pair(within, schema)
    hint = HINTS.get(kind, "") if pair is None else f"one on each line, such as {pair.example}"
    return Field(
        name=name,
        label=last.replace("_", " ").strip().capitalize(),
        kind=kind,
        choices=tuple(map(str, _choices(within, pair, schema))),
        is_required=is_required,
        hint=str(outer["properties"][last].get("description", "")) or hint,
        value=value,
        pair=pair,
    )


def arguments_of(act: AnyAct, sent: Mapping[str, list[str]]) -> dict[str, Any]:
    """The arguments that a form sent, as a tool takes them. Fields that were left empty are left out."""
    found: dict[str, Any] = {}
    for name, values in sent.items():
        if name in OWN_FIELDS:
            continue
        try:
            field = field_of(act, name)
        except (KeyError, TypeError):
            found[name] = values[-1]  # the tool refuses what it does not know, or says that it left it out
            continue
        value = _value(field, values[-1].replace("\r\n", "\n"))
        if value is None:
            continue
        inside = found
        *above, last = name.split(".")
        for part in above:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                raise Refusal("invalid", f"The form gives {part} both whole and in parts.", "Send one of them.")
        if isinstance(inside.get(last), dict):
            raise Refusal("invalid", f"The form gives {last} both whole and in parts.", "Send one of them.")
        inside[last] = value
    return found


def _value(field: Field, text: str) -> Any:
    """What was written in a field; None if it was left empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    is_list = field.kind in ("lines", "pairs") and not text.lstrip().startswith("[")
    if is_list and (lines or field.is_required):
        return lines if field.pair is None else [field.pair.read(line, field.choices) for line in lines]
    if not text.strip():
        return None
    if field.kind == "span" and (seconds := parse_span(text.strip())) is not None:
        return seconds
    return text


@cache
def _schema(act: AnyAct) -> dict[str, Any]:
    schema: dict[str, Any] = act.arguments.model_json_schema()
    return schema


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without null, and with its reference followed."""
    if "anyOf" in node:
        node = next(option for option in node["anyOf"] if option.get("type") != "null")
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return node


def _kind(found: dict[str, Any], schema: dict[str, Any], is_required: bool) -> Kind:
    kind = found.get("type")
    if "enum" in found:
        return "choice"
    if kind == "boolean":
        return "choice" if is_required else "check"  # a box that is not ticked is not sent, so it cannot say no
    if kind == "number":
        return "span"  # every argument that need not be a whole number is in seconds
    if kind == "integer":
        return "number"
    if kind == "array":
        item = _resolved(found.get("items", {}), schema)
        if item.get("type") == "string":
            return "lines"
        return "json" if _pair(found, schema) is None else "pairs"
    if kind == "object":
        return "json"
    return "area" if found.get("maxLength", 0) > LONG_CHARACTERS and "pattern" not in found else "line"


def _choices(found: dict[str, Any], pair: Pair | None, schema: dict[str, Any]) -> list[Any]:
    """What a field can be; of a list of objects, what the first text of each can be. Empty: everything."""
    if pair is not None:
        item = _resolved(found.get("items", {}), schema)
        found = _resolved(item["properties"][pair.first], schema)
    choices: list[Any] = ["true", "false"] if found.get("type") == "boolean" else found.get("enum", [])
    return choices


def _pair(found: dict[str, Any], schema: dict[str, Any]) -> Pair | None:
    """How the objects of a list are written on one line; None if it is no list, or has other objects."""
    names = _resolved(found.get("items", {}), schema).get("properties", {})
    return next((pair for pair in PAIRS if pair.first in names and pair.second in names), None)
