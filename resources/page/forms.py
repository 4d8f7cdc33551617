"""Forms for acts, made from the models of their arguments: what a tool takes, a form of the page takes too."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from teamroom.server.acts.act import AnyAct
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

SPANS = frozenset({"until", "due", "snooze_until", "for_seconds", "expires_seconds", "older_than_seconds"})
"""Arguments in seconds, for which people write spans such as 30m or 2d."""

Kind = Literal["line", "area", "choice", "number", "span", "check", "lines", "facts", "json"]

HINTS: dict[Kind, str] = {
    "lines": "one on each line",
    "facts": "one on each line, such as test: pytest -q: 212 passed",
    "json": "a list, as JSON",
    "span": "such as 30m, 2h or 1d",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    `name`: of the argument, such as `title`, or `changes.title` for one inside another. `kind` lines: a list of texts,
    one on each line; facts: a list of `{kind, ref}`, each on a line as `kind: ref`; json: any other list.
    """

    name: str
    label: str
    kind: Kind
    choices: tuple[str, ...] = ()
    is_required: bool = False
    hint: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """A form for one act. `fixed`: what the page fills in. `typed`: the name that must be typed to confirm it."""

    act: str
    button: str
    fields: tuple[Field, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()
    typed: str = ""
    style: str = ""


def form(
    act: AnyAct,
    button: str,
    *names: str,
    typed: str = "",
    style: str = "",
    values: Mapping[str, str] | None = None,
    **fixed: str,
) -> Form:
    """A form that asks for the named arguments of an act. `values`: what stands in its fields at first."""
    given = values or {}
    fields = tuple(field_of(act, name, given.get(name, "")) for name in names)
    return Form(act.name, button, fields, tuple(fixed.items()), typed, style)


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
    kind = "span" if last in SPANS else _kind(within, schema)
    return Field(
        name=name,
        label=last.replace("_", " ").strip().capitalize(),
        kind=kind,
        choices=tuple(map(str, within.get("enum", ()))),
        is_required=last in outer.get("required", ()),
        hint=str(outer["properties"][last].get("description", "")) or HINTS.get(kind, ""),
        value=value,
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
        inside[last] = value
    return found


def _value(field: Field, text: str) -> Any:
    """What was written in a field; None if it was left empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if field.kind in ("lines", "facts") and (lines or field.is_required) and not text.lstrip().startswith("["):
        return lines if field.kind == "lines" else [_fact(line) for line in lines]
    if not text.strip():
        return None
    if field.kind == "span" and (seconds := parse_span(text.strip())) is not None:
        return seconds
    return text


def _fact(line: str) -> dict[str, str]:
    kind, colon, ref = line.partition(":")
    return {"kind": kind.strip(), "ref": ref.strip()} if colon else {"kind": "other", "ref": line}


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


def _kind(found: dict[str, Any], schema: dict[str, Any]) -> Kind:
    kind = found.get("type")
    if "enum" in found:
        return "choice"
    if kind == "boolean":
        return "check"
    if kind in ("integer", "number"):
        return "number"
    if kind == "array":
        item = _resolved(found.get("items", {}), schema)
        if {"kind", "ref"} <= item.get("properties", {}).keys():
            return "facts"
        return "lines" if item.get("type") == "string" else "json"
    if kind == "object":
        return "json"
    return "area" if found.get("maxLength", 0) > LONG_CHARACTERS and "pattern" not in found else "line"
