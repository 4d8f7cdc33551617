"""Serves `prompts/list`, `prompts/get` and `completion/complete`, and authorises each read."""

from collections.abc import Callable
from typing import Any

from mcp import types
from mcp.server.context import ServerRequestContext

from teamroom.resources.errors import as_mcp_errors
from teamroom.resources.prompts import Prompt, check_arguments, complete, prompts_for
from teamroom.server.door.door import Door
from teamroom.server.faults import Faults
from teamroom.server.identity import Caller
from teamroom.server.logs import without_secrets
from teamroom.server.refusals import Refusal
from teamroom.server.rules.text import cite

Context = ServerRequestContext[Any, Any]

COMPLETIONS = 100
"""The most completions in one reply; the limit of the protocol."""


class PromptServer:
    """The prompts as the SDK calls them."""

    def __init__(self, door: Door, caller_of: Callable[[Context], Caller], faults: Faults) -> None:
        self._door = door
        self._caller_of = caller_of
        self._faults = faults

    async def list(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        """The prompts for callers of this kind, each with the tool that does the same."""
        found = prompts_for(self._caller_of(ctx))
        return types.ListPromptsResult(prompts=[_definition(prompt) for prompt in found.values()])

    async def get(self, ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        """One prompt, filled with what the caller may see now. Raises MCPError."""
        with as_mcp_errors(self._faults, f"the prompt {params.name[:60]!r}"):
            caller = self._caller_of(ctx)
            prompt = _find(caller, params.name)
            text = await prompt.text(self._door, caller, check_arguments(prompt, params.arguments))
        message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
        return types.GetPromptResult(description=prompt.description, messages=[message])

    async def complete(self, ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        """Completions for an argument of a prompt. Raises MCPError."""
        with as_mcp_errors(self._faults, "a completion"):
            caller = self._caller_of(ctx)
            found = await complete(self._door, caller, _argument_of(caller, params), params.argument.value)
        shown = found[:COMPLETIONS]
        return types.CompleteResult(
            completion=types.Completion(values=shown, total=len(found), has_more=len(found) > len(shown))
        )


def _definition(prompt: Prompt) -> types.Prompt:
    return types.Prompt(
        name=prompt.name,
        title=prompt.title,
        description=f"{prompt.description} The same as a tool: {prompt.twin}.",
        arguments=[
            types.PromptArgument(name=argument.name, description=argument.description, required=argument.required)
            for argument in prompt.arguments
        ],
    )


def _find(caller: Caller, name: str) -> Prompt:
    found = prompts_for(caller)
    prompt = found.get(name)
    if prompt is None:
        raise Refusal(
            "not_found",
            f"There is no prompt {cite(without_secrets(name[:60]))}.",
            f"The prompts are {', '.join(found)}.",
        )
    return prompt


def _argument_of(caller: Caller, params: types.CompleteRequestParams) -> str:
    """What the argument to complete names; empty if it cannot be completed."""
    if not isinstance(params.ref, types.PromptReference):
        return ""
    named = {argument.name: argument.of for argument in _find(caller, params.ref.name).arguments}
    return named.get(params.argument.name, "")
