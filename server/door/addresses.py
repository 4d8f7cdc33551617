"""Addresses of channels at the door: each is put into the private file before the act, which only gets its name there.

So no part of an address reaches a transaction, the log, a remembered call or the record of a refusal.
"""

import logging
from collections.abc import Collection
from typing import Any, Protocol

from teamroom.server.acts.act import AnyAct, Arguments, Reply
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.rules.addresses import Address, KeptAddress

logger = logging.getLogger("teamroom.door")

NOWHERE = KeptAddress("", "", "")
"""What an act gets in place of an address that is not kept, because its caller can have no channel."""


class Addresses(Protocol):
    """Keeps addresses outside the database, each under a random name."""

    async def keep(self, member: int, address: Address) -> KeptAddress:
        """Keep an address of a member. Raises Refusal, which repeats no part of it."""
        ...

    async def drop(self, marks: Collection[str]) -> None:
        """Remove addresses by their names. Raises OSError."""
        ...


class NoAddresses:
    """Keeps none: for a door without a data folder."""

    async def keep(self, member: int, address: Address) -> KeptAddress:
        """Refuse."""
        raise Refusal("not_allowed", "This server keeps no addresses.", "Add the channel in the room's own server.")

    async def drop(self, marks: Collection[str]) -> None:
        """There are none."""


async def keep_address(addresses: Addresses, caller: Caller, act: AnyAct, arguments: Arguments) -> Arguments:
    """The arguments of an act with the name of the address in place of the address. Raises Refusal."""
    address: Any = getattr(arguments, act.address)
    if address is None:
        return arguments
    kept = await addresses.keep(caller.member, address) if caller.kind == "human" else NOWHERE
    return arguments.model_copy(update={act.address: kept})


async def drop_unused(addresses: Addresses, act: AnyAct, arguments: Arguments, reply: Reply | None) -> None:
    """Remove the addresses that no channel has after an act. `reply`: None if the act was refused.

    What cannot be removed now is removed when the server starts.
    """
    address = getattr(arguments, act.address)
    is_new = isinstance(address, KeptAddress) and address.mark and (reply is None or reply.replayed is not None)
    unused = [*([address.mark] if is_new else []), *(reply.unused if reply is not None else [])]
    if unused:
        try:
            await addresses.drop(unused)
        except OSError as error:
            logger.warning("an address that no channel has stays until the next start (%s)", type(error).__name__)
