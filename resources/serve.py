"""Serves `resources/list`, `resources/templates/list` and `resources/read`, and authorises each read."""

from collections.abc import Callable
from typing import Any

from mcp import types
from mcp.server.context import ServerRequestContext
from pydantic import ValidationError

from teamroom.resources.errors import as_mcp_errors
from teamroom.resources.resource import Resource
from teamroom.resources.room import RESOURCES
from teamroom.server.door.door import Door
from teamroom.server.faults import Faults
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.rules.text import inline
from teamroom.server.rules.wrong_values import say_wrong

Context = ServerRequestContext[Any, Any]

_MARKDOWN = "text/markdown"
_JSON = "application/json"


class ResourceServer:
    """The resources as the SDK calls them."""

    def __init__(self, door: Door, caller_of: Callable[[Context], Caller], faults: Faults) -> None:
        self._door = door
        self._faults = faults
        self._caller_of = caller_of

    async def list(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
        """The resources with a fixed address."""
        return types.ListResourcesResult(
            resources=[
                types.Resource(uri=r.uri, name=r.path, title=r.title, description=r.description, mime_type=_MARKDOWN)
                for r in RESOURCES
                if not r.is_template
            ]
        )

    async def templates(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """The families of resources, each with a template."""
        return types.ListResourceTemplatesResult(
            resource_templates=[
                types.ResourceTemplate(
                    uri_template=r.uri,
                    name=r.path.partition("/")[0],
                    title=r.title,
                    description=r.description,
                    mime_type=_MARKDOWN,
                )
                for r in RESOURCES
                if r.is_template
            ]
        )

    async def read(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        """Read one resource, as words and as JSON. Raises MCPError."""
        uri = str(params.uri)
        with as_mcp_errors(self._faults, f"the resource {uri[:80]!r}"):
            return await self.read_as(uri, self._caller_of(ctx))

    async def read_as(self, uri: str, caller: Caller) -> types.ReadResourceResult:
        """Read one resource for a caller. Raises Refusal."""
        resource, arguments = find(uri)
        try:
            reply = await self._door.read(caller, resource.reads, arguments)
        except Refusal as refusal:
            self._door.note_refused(caller, resource.reads.name, refusal)
            raise
        return types.ReadResourceResult(
            contents=[
                types.TextResourceContents(uri=uri, mime_type=_MARKDOWN, text=resource.text(reply)),
                types.TextResourceContents(uri=uri, mime_type=_JSON, text=reply.model_dump_json(by_alias=True)),
            ]
        )


EXACT = {resource.uri: (resource, resource.reads.arguments()) for resource in RESOURCES if not resource.is_template}
"""Resources with a fixed address, each with the arguments of its read."""


def find(uri: str) -> tuple[Resource, Any]:
    """Find the resource for an address, and the arguments of its read. Raises Refusal."""
    if uri in EXACT:
        return EXACT[uri]
    for resource in RESOURCES:
        found = resource.match(uri)
        if found is not None:
            try:
                return resource, resource.reads.arguments.model_validate(found)
            except ValidationError as error:
                fault = error.errors(include_url=False)[0]
                raise Refusal(
                    "invalid", f"{inline(uri[:80])}: {say_wrong(fault)}.", f"Read it as {resource.uri}."
                ) from None
    raise Refusal("not_found", f"There is no resource {inline(uri[:80])}.", "Call resources/list to see them.")
