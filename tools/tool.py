"""What a tool is: its wording, its schema, and its one call through the door."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mcp import types
from pydantic import BaseModel

from teamroom.server.acts.act import AnyAct, AnyRead, Read
from teamroom.server.identity import CHAT, Caller
from teamroom.tools.danger import Danger

ALWAYS_LOAD = "anthropic/alwaysLoad"
"""A mark for Claude Code: keep this tool loaded, so that the model need not search for it."""


@dataclass(frozen=True)
class Tool:
    """One tool: the wording of an act or a read. The act states who may call it and who is shown it.

    - `text` renders the reply as plain words for a model. The structured content carries the reply itself.
    - `place` orders `tools/list`. A place never changes, because clients cache the list with the prompt.
    - `next` says what to do next, where that is not obvious. Some clients show a model only the words and some only the
      data, so the advice is in both.
    - `waits`: the tool blocks, so it goes over the streaming transport.
    - `core`: clients that load tools on demand keep this one loaded.
    - `danger`: what a person confirms first.
    - `destroys`: it can take away what no later call brings back.
    - `idempotent`: the same call again changes nothing more.
    - `in_chat`: a person's chat client shows it. The others can be called there too.
    """

    does: AnyAct | AnyRead
    description: str
    text: Callable[[Any], str]
    place: int
    next: Callable[[Any], str | None] = lambda reply: None
    waits: bool = False
    destroys: bool = False
    idempotent: bool = False
    core: bool = False
    in_chat: bool = True
    danger: Danger | None = None

    @property
    def name(self) -> str:
        """The name of its act."""
        return str(self.does.name)

    @property
    def arguments(self) -> type[BaseModel]:
        """The model of its arguments."""
        arguments: type[BaseModel] = self.does.arguments
        return arguments

    def is_for(self, caller: Caller) -> bool:
        """Whether a caller is shown this tool. The door decides whether the caller may use it.

        A tool that plain members may call is shown to everybody, except for what nobody uses in a chat.
        """
        if caller.token_kind == CHAT and not self.in_chat:
            return False
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
            title=self.name.replace("_", " ").capitalize(),
            annotations=types.ToolAnnotations(
                read_only_hint=isinstance(self.does, Read),
                destructive_hint=self.destroys,
                idempotent_hint=self.idempotent or isinstance(self.does, Read),
                open_world_hint=False,
            ),
            _meta={ALWAYS_LOAD: True} if self.core else None,
        )


KEPT = ("type", "enum", "const", "description", "items", "properties", "required", "default", "minimum", "maximum")
"""What a model needs of a schema. Lengths and patterns are enforced; a refusal explains a broken one."""


def compact(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema in its shortest form: references resolved, no titles, no unions with null."""
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
