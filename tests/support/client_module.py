"""Writes the typed calls of the Python client, from the models of the tools' arguments and replies.

`clients/session/tools.py` has a method for each tool, and `clients/session/shapes.py` the types of what they take and
return. `python -m tests.support.generated` writes both, and a test compares them with what it writes.
"""

import keyword
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from teamroom.server.acts.act import Act
from teamroom.server.facts.mentions import NewName, NotReached
from teamroom.tools.serve import TOOLS
from teamroom.tools.tool import Tool
from tests.support.repository import ROOT

SHAPES, METHODS = (ROOT / "clients" / "session" / name for name in ("shapes.py", "tools.py"))
"""The files that are written here."""

WIDTH = 110

HEAD = '''\
"""{what}

`python -m tests.support.generated` writes this file from the models of the tools.
"""

from __future__ import annotations
'''

ADDED = {
    "brief": "str",
    "next": "str",
    "ignored": "list[str]",
    "removed": "dict[str, int]",
    "not_reached": "list[NotReached]",
    "new_names": "list[NewName]",
    "waiting": "list[WaitingWake]",
}
"""What an answer may say besides the reply of its act or read: see `tools/additions.py`."""

WAITING = 'WaitingWake = TypedDict("WaitingWake", {"reason": str, "subject": str, "from": str})\n'
"""What `data_of_waiting` of the tools shows of a wake, which is no model."""

ADDITIONS = "Additions"

SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}

Schema = dict[str, Any]


def written() -> dict[Path, str]:
    """Each file of the client that is written here, as this release writes it."""
    return {SHAPES: _formatted(shapes()), METHODS: _formatted(methods())}


def reply_of(tool: Tool) -> type[BaseModel]:
    """The model of a tool's reply."""
    reply: type[BaseModel] = tool.does.reply if isinstance(tool.does, Act) else get_type_hints(tool.does.run)["return"]
    return reply


# ------------------------------------------------------------------ the types


def shapes() -> str:
    """The types of replies, and of the objects in arguments."""
    replies = {reply_of(tool).__name__ for tool in TOOLS.values()}
    given, found = _arguments(), _replies()
    calls = {tool.arguments.__name__ for tool in TOOLS.values()}
    own = {key for name in replies for key in found[name]["properties"]}
    added = {key: f"NotRequired[{kind}]" for key, kind in ADDED.items()}
    shared = {key: kind for key, kind in added.items() if key not in own}
    classes = [_class_text(ADDITIONS, "What any answer may say besides its reply.", shared)]
    for name, schema in found.items():
        if name in replies:
            other = {key: kind for key, kind in added.items() if key in own - set(schema["properties"])}
            classes.append(_shape(name, schema, other, base=ADDITIONS))
        else:
            classes.append(_shape(name, schema, {}))
    classes += [_shape(name, schema, {}, is_given=True) for name, schema in given.items() if name not in calls]
    head = HEAD.format(what="What the room's tools take and return, as types of plain dictionaries.")
    imports = "from collections.abc import Sequence\nfrom typing import Any, Literal, NotRequired, TypedDict\n"
    return "\n\n".join([f"{head}\n{imports}", *classes, WAITING])


def _replies() -> dict[str, Schema]:
    models = [*dict.fromkeys(map(reply_of, TOOLS.values())), NotReached, NewName]
    return _definitions([(model, "serialization") for model in models])


def _arguments() -> dict[str, Schema]:
    return _definitions([(model, "validation") for model in dict.fromkeys(tool.arguments for tool in TOOLS.values())])


def _definitions(models: Any) -> dict[str, Schema]:
    _, schema = models_json_schema(models, by_alias=True, ref_template="{model}")
    return {_class(name): found for name, found in schema["$defs"].items()}


def _shape(name: str, schema: Schema, more: dict[str, str], base: str = "TypedDict", is_given: bool = False) -> str:
    """A type of dictionaries: as a class, or as a call where a key cannot be the name of a field."""
    fields = {
        key: _optional(_type(value, is_given), is_given and key not in schema.get("required", ()))
        for key, value in schema["properties"].items()
    }
    if any(map(keyword.iskeyword, fields)):
        listed = ", ".join(f'"{key}": {kind}' for key, kind in fields.items())
        return f'{name} = TypedDict("{name}", {{{listed}}})\n'
    return _class_text(name, schema.get("description", f"{name}."), {**fields, **more}, base)


def _class_text(name: str, about: str, fields: dict[str, str], base: str = "TypedDict") -> str:
    listed = "".join(f"    {key}: {kind}\n" for key, kind in fields.items())
    return f"class {name}({base}):\n{_docstring(about, 4)}\n\n{listed}"


def _optional(kind: str, is_optional: bool) -> str:
    return f"NotRequired[{kind}]" if is_optional else kind


def _type(schema: Schema, is_given: bool) -> str:
    """The type of a value. What a program gives may be any sequence."""
    if "$ref" in schema:
        return _class(schema["$ref"])
    if "anyOf" in schema:
        return " | ".join(_type(option, is_given) for option in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return f"Literal[{', '.join(map(repr, values))}]"
    kind = schema.get("type")
    if kind == "array":
        return f"{'Sequence' if is_given else 'list'}[{_type(schema['items'], is_given)}]"
    if kind == "object":
        inner = schema.get("additionalProperties", {})
        return f"dict[str, {_type(inner, is_given) if isinstance(inner, dict) and inner else 'Any'}]"
    return "None" if kind == "null" else SCALARS[kind] if kind else "Any"


def _class(name: str) -> str:
    """The name of a type: `SectionDoer` for the model `Section[Doer]`."""
    return name.replace("_", "")


# ------------------------------------------------------------------ the methods


def methods() -> str:
    """The class with a method for each tool."""
    arguments = _arguments()
    names = {reply_of(tool).__name__ for tool in TOOLS.values()}
    texts = [_method(tool, arguments[tool.arguments.__name__]) for tool in TOOLS.values()]
    given = sorted(name for name in arguments if any(f"[{name}]" in text or f"{name} |" in text for text in texts))
    head = HEAD.format(what="The room's tools as methods: each argument by its name, and None where it is left out.")
    imports = "from collections.abc import Sequence\nfrom typing import TYPE_CHECKING, Any, Literal\n\n"
    imports += (
        f"if TYPE_CHECKING:\n    from teamroom.clients.session.shapes import {', '.join(sorted({*names, *given}))}\n"
    )
    first = '''\
class Tools:
    """The tools of a room. What a newer room has besides them is called with `call`."""

    async def call(
        self, tool: str, /, request_id: str | None = None, answer_seconds: float | None = None, **arguments: Any
    ) -> Any:
        """Call a tool with the arguments that are not None; returns its structured reply."""
        raise NotImplementedError
'''
    return "\n\n".join([f"{head}\n{imports}", first]) + "\n" + "\n".join(texts)


def _method(tool: Tool, schema: Schema) -> str:
    required = schema.get("required", [])
    ordered = sorted(schema["properties"], key=lambda name: name not in required)
    parts, passed, odd = [], [], []  # odd: those that Python cannot have as names
    for name in ordered:
        kind, own = _type(schema["properties"][name], True), f"{name}_" if keyword.iskeyword(name) else name
        if name not in required:
            kind = f"{kind.removesuffix(' | None')} | None = None"
        parts.append(f"{own}: {kind}")
        (odd if own != name else passed).append(f'"{name}": {own}' if own != name else f"{name}={own}")
    is_act = isinstance(tool.does, Act)
    parts += ["request_id: str | None = None"] * is_act
    passed = ["request_id=request_id"] * is_act + passed + ["**more"] * bool(odd)
    reply = reply_of(tool).__name__
    more = f"    more: dict[str, Any] = {{{', '.join(odd)}}}\n" if odd else ""
    return textwrap.indent(
        f"async def {tool.name}(self{', *, ' if parts else ''}{', '.join(parts)}) -> {reply}:\n"
        f"{_docstring(tool.description, 4, 4)}\n"
        f"{more}"
        f'    reply: {reply} = await self.call("{tool.name}"{"".join(f", {one}" for one in passed)})\n'
        "    return reply\n",
        "    ",
    )


# ------------------------------------------------------------------ text


def _docstring(text: str, indent: int, outer: int = 0) -> str:
    """A docstring, wrapped where it is longer than a line."""
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    width = WIDTH - indent - outer
    lines = "\n\n".join(textwrap.fill(part, width, break_long_words=False) for part in paragraphs)
    first, _, rest = lines.replace("\\", "\\\\").partition("\n")
    ends = '\n"""' if rest else '"""'
    return textwrap.indent(f'"""{first}' + (f"\n{rest}" if rest else "") + ends, " " * indent)


def _formatted(text: str) -> str:
    command = [str(Path(sys.executable).with_name("ruff")), "format", "--stdin-filename", "clients.py", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout
