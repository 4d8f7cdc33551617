"""What a tool is: its words, its schema, and the one call through the door behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mcp import types
from pydantic import BaseModel

from teamroom.server.acts.act import AnyAct, AnyRead, Read
from teamroom.server.identity import Caller
from teamroom.tools.danger import Danger

ALWAYS_LOAD = "anthropic/alwaysLoad"
"""What Claude Code reads to keep a tool at hand that it would otherwise have to search for."""


@dataclass(frozen=True)
class Tool:
    """One tool: the wording of an act or a read. Who may call it and who is shown it, the act states.

    `text` puts its reply into plain words for a model; the reply itself goes along as data. `place`: where it is in
    `tools/list`; a place that is taken stays, because clients cache the list with the prompt. `next` says what to do
    now, if that is not plain: some clients show a model only the words, some only the data, so it is in both.
    `waits`: it blocks, so it goes over the streaming transport. `core`: clients that load tools only when asked for are
    told to keep this one at hand. `danger`: a person confirms it.
    """

    does: AnyAct | AnyRead
    description: str
    text: Callable[[Any], str]
    place: int
    next: Callable[[Any], str | None] = lambda reply: None
    waits: bool = False
    destroys: bool = False
    core: bool = False
    danger: Danger | None = None

    @property
    def name(self) -> str:
        """Its name, which is that of its act."""
        return str(self.does.name)

    @property
    def arguments(self) -> type[BaseModel]:
        """The model of its arguments."""
        arguments: type[BaseModel] = self.does.arguments
        return arguments

    def is_for(self, caller: Caller) -> bool:
        """Whether a caller is shown this tool; whether it may use it, the door decides.

        What every member may call, everybody is shown: one list is what clients cache.
        """
        does = self.does
        if does.shown_to_agents is not None:
            return caller.kind == "human" or caller.role in does.shown_to_agents
        return caller.role in does.roles or "member" in does.roles

    @cached_property
    def definition(self) -> types.Tool:
        """The tool as `tools/list` shows it."""
        return types.Tool(
            name=self.name,
            description=self.description,
            input_schema=compact(self.arguments.model_json_schema()),
            annotations=types.ToolAnnotations(
                read_only_hint=isinstance(self.does, Read), destructive_hint=self.destroys, open_world_hint=False
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
