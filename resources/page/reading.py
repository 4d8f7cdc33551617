"""How the page reads: through the door, with what an address asks for."""

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError

from teamroom.server.acts.act import AnyRead, Arguments
from teamroom.server.refusals import Refusal
from teamroom.server.rules.wrong_values import say_wrong

ReadFor = Callable[[AnyRead, Any], Awaitable[Any]]
"""Reads something for the person who visits."""


class AddressRefusal(Refusal):
    """An address that asks for what there is not. No read was made for it, so the page counts it."""


def asked_by(model: type[Arguments], **asked: Any) -> Any:
    """What an address asks for. Raises Refusal if that makes no sense."""
    try:
        return model(**asked)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "the address"
        raise no_such_address(f"{where}: {say_wrong(fault)}") from None


def no_such_address(why: str) -> AddressRefusal:
    """The refusal of an address that makes no sense."""
    return AddressRefusal("invalid", f"{why}.", "Correct the address, or go to the first page.")
