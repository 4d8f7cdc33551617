"""Acts of a person: carried out once although an answer is lost, with the command that repeats or corrects them."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.blocking import ask_once, say_remarks
from teamroom.clients.session.failure import Failure, UnreachableError
from teamroom.clients.session.place import Place
from teamroom.clients.session.terminal import Styled, plain, print_hanging
from teamroom.clients.session.times import date_and_time
from teamroom.clients.shell.app import SPAN, bare
from teamroom.clients.shell.typed import again
from teamroom.clients.shell.writing import TEXT, Written, too_long
from teamroom.server.rules.forecasts import describe_forecast
from teamroom.server.rules.text import backtick

if TYPE_CHECKING:
    from teamroom.server.acts.act import Reply
    from teamroom.server.facts.member import Forecast

REQUEST_ID_BYTES = 12

RequestId = Annotated[
    str | None,
    typer.Option("--request-id", metavar="ID", help="Repeat a call whose answer was lost. It is carried out once."),
]

NO_MEMBER = re.compile(r"There is no member “@?(?P<name>[^”]+)”")
NEAREST = re.compile(r"Call again with @(?P<name>[\w.-]+) if you mean")
CORRECTED = re.compile(r'Call again with (?P<argument>\w+) (?P<value>"[^"\\]*"|\d+)')
"""How the room names one argument of a corrected call."""


def act(
    place: Place,
    context: typer.Context,
    tool: str,
    request_id: str | None,
    text: Written | None = None,
    sent: Mapping[str, Any] | None = None,
    /,
    **arguments: Any,
) -> dict[str, Any]:
    """Call a tool; returns the room's reply. Raises Failure.

    `sent`: options that the command found out, which a repeated call needs too. If the answer is lost twice, the
    failure says how to repeat the call. A refusal for a mistyped name has the corrected command.
    """
    import secrets

    request_id = request_id or secrets.token_hex(REQUEST_ID_BYTES)
    try:
        reply = ask_once(place, tool, request_id, **arguments)
    except UnreachableError as error:
        if not error.was_sent:
            raise
        command = _command(context, text, {**(sent or {}), "request_id": request_id})
        raise Failure(
            f"The room did not answer ({error.fault}). It may have carried this out.",
            f"To repeat it, so that it happens once, run: {command}",
        ) from None
    except Failure as failure:
        _correct(failure, context, text, arguments)
        raise
    say_remarks(reply)
    return reply


def _command(
    context: typer.Context, text: Written | None, options: dict[str, Any], arguments: dict[str, Any] | None = None
) -> str:
    given = arguments or {}
    return again(context, given, options) if text is None else text.command(context, given, options)


def _correct(failure: Failure, context: typer.Context, text: Written | None, arguments: Mapping[str, Any]) -> None:
    """Add the corrected command to a refusal: for a text that is too long, another value and a mistyped name."""
    if text is not None and (how := too_long(text.text)) is not None:
        failure.fix = how
        return
    if (value := CORRECTED.match(failure.fix)) is not None:
        _correct_value(failure, context, text, value, arguments)
        return
    wrong, near = NO_MEMBER.search(failure.why), NEAREST.search(failure.fix)
    if wrong is None or near is None:
        return
    mistyped, meant = bare(wrong["name"]).casefold(), near["name"]
    changed = {
        name: _renamed(value, mistyped, meant)
        for name, value in context.params.items()
        if name != TEXT and _renamed(value, mistyped, meant) != value
    }
    if changed:
        named = {one.name for one in context.command.params if one.param_type_name == "argument"}
        options = {name: value for name, value in changed.items() if name not in named}
        arguments = {name: value for name, value in changed.items() if name in named}
        failure.fix = f"If you mean @{meant}, run: {_command(context, text, options, arguments)}"


def _correct_value(
    failure: Failure, context: typer.Context, text: Written | None, value: re.Match[str], arguments: Mapping[str, Any]
) -> None:
    """Add the corrected command where the room names another value of one argument."""
    refused = arguments.get(value["argument"])
    for one in context.command.params:
        if one.name is not None and refused is not None and context.params.get(one.name) == refused:
            new = json.loads(value["value"])
            changed = {one.name: f"{new}s" if isinstance(new, int) and one.metavar == SPAN else str(new)}
            is_argument = one.param_type_name == "argument"
            command = _command(context, text, {} if is_argument else changed, changed if is_argument else {})
            failure.fix = failure.fix.replace(value[0], f"Run: {backtick(command)}", 1)
            return


def _renamed(value: Any, mistyped: str, meant: str) -> Any:
    """Return the value of an argument or option with another name in place of the mistyped one."""
    if isinstance(value, list | tuple):
        return [_renamed(one, mistyped, meant) for one in value]
    if not isinstance(value, str):
        return value
    return ",".join(meant if bare(one.strip()).casefold() == mistyped else one for one in value.split(","))


# ------------------------------------------------------------------ what was done


def receipt_of(done: "Reply") -> str:
    """Return the receipt of an act in words, and when an earlier call did it that this one repeats."""
    if done.replayed is not None:
        return f" (the same call did it at {plain(date_and_time(done.replayed))})"
    return f" (receipt {done.receipt})" if done.receipt is not None else ""


def print_forecasts(forecasts: "list[Forecast]") -> None:
    """Print when each addressee is expected to answer."""
    for found in forecasts:
        print_hanging(Styled(f"  @{plain(found.to)}", style="bold"), Styled(plain(describe_forecast(found))))
