"""What a tool is: its words, its schema, and the one call through the door behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mcp import types
from pydantic import BaseModel

from teamroom.server.acts.act import AnyAct, AnyRead
from teamroom.server.identity import Caller, Role

ALWAYS_LOAD = "anthropic/alwaysLoad"
"""What Claude Code reads to keep a tool at hand that it would otherwise have to search for."""


@dataclass(frozen=True)
class Danger:
    """What a person is asked before a dangerous act, and the shell command that does the same.

    `always`: wherever the client can ask; else only for a token of a chat client.
    """

    question: Callable[[Any], str]
    shell: Callable[[Any], str]
    always: bool = False


@dataclass(frozen=True)
class Tool:
    """One tool. `text` puts its reply into plain words for a model; the reply itself goes along as data.

    `next` says what to do now, if that is not plain: some clients show a model only the words, some only
    the data, so it stands in both. `roles` None: everybody sees it; people may see what agents need a role
    for. `waits`: it blocks, so it goes over the streaming transport. `core`: clients that load tools only
    when asked for are told to keep this one at hand. `danger`: a person confirms it.
    """

    name: str
    description: str
    does: AnyAct | AnyRead
    text: Callable[[Any], str]
    next: Callable[[Any], str | None] = lambda reply: None
    roles: frozenset[Role] | None = None
    people: bool = False
    waits: bool = False
    reads: bool = False
    destroys: bool = False
    core: bool = False
    danger: Danger | None = None

    @property
    def arguments(self) -> type[BaseModel]:
        """The model of its arguments."""
        arguments: type[BaseModel] = self.does.arguments
        return arguments

    def is_for(self, caller: Caller) -> bool:
        """Whether a caller is shown this tool; whether it may use it, the door decides."""
        return self.roles is None or caller.role in self.roles or (self.people and caller.kind == "human")

    @cached_property
    def listed(self) -> types.Tool:
        """The tool as `tools/list` shows it."""
        return types.Tool(
            name=self.name,
            description=self.description,
            input_schema=compact(self.arguments.model_json_schema()),
            annotations=types.ToolAnnotations(
                read_only_hint=self.reads, destructive_hint=self.destroys, open_world_hint=False
            ),
            _meta={ALWAYS_LOAD: True} if self.core else None,
        )


KEPT = ("type", "enum", "const", "description", "items", "properties", "required", "default", "minimum", "maximum")
"""What a model needs of a schema; titles, lengths and patterns are enforced, and said when they are broken."""


def compact(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema as short as it can be said: references put in, no titles, no unions with null."""
    return _compact(schema, schema.get("$defs", {}))


def _compact(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return _compact(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
    if "anyOf" in node:
        branch = next(option for option in node["anyOf"] if option.get("type") != "null")
        return _compact({**branch, **{k: v for k, v in node.items() if k not in ("anyOf", "default")}}, definitions)
    short = {key: node[key] for key in KEPT if key in node}
    if "properties" in short:
        short.pop("description", None)
        short["properties"] = {name: _compact(value, definitions) for name, value in short["properties"].items()}
    if "items" in short:
        short["items"] = _compact(short["items"], definitions)
    if short.get("maximum") == 2**53 - 1:
        del short["maximum"]
    if short.get("minimum") == 0:
        del short["minimum"]
    return short
