"""The addresses of the channels that people added: one private file of the data folder, and nothing else.

The database names each by a random mark. An address is written before the act that adds its channel, and removed after
the one that removes it. What a crash leaves in between is removed when the server starts. The file belongs to this data
folder: a server with another folder on the same room would not have these addresses.
"""

import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import SecretStr

from teamroom.server.facts.channels import ROOM_CHANNELS
from teamroom.server.identity import Entropy
from teamroom.server.notify import channels
from teamroom.server.private import NotPrivateError, read_private, write_private
from teamroom.server.refusals import Refusal
from teamroom.server.rules.addresses import Address, KeptAddress, fault_of
from teamroom.server.store.folder import CHANNELS

logger = logging.getLogger("teamroom.notify")

T = TypeVar("T")

MARK_BYTES, KEY_BYTES = 8, 32

MOST_KEPT = 2 * ROOM_CHANNELS
"""The most addresses in the file: one for each channel, and those of acts in progress."""


class UnreadableError(Exception):
    """The file of addresses cannot be read. The text says why, without an address."""


class Kept(NamedTuple):
    """What is in the file. `key`: the key of the digests with which a repeated call is recognised."""

    key: str
    addresses: dict[str, str]


def read_addresses(folder: Path) -> Kept:
    """The addresses in a data folder by their marks; none if there is no file. Raises UnreadableError."""
    try:
        found = json.loads(read_private(folder / CHANNELS))
        kept = Kept(found["key"], found["addresses"])
        if not isinstance(kept.key, str) or not all(isinstance(one, str) for one in kept.addresses.values()):
            raise TypeError
    except FileNotFoundError:
        return Kept("", {})
    except NotPrivateError as error:
        raise UnreadableError(str(error)) from None
    except OSError as error:
        raise UnreadableError(f"{folder / CHANNELS} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UnreadableError(f"{folder / CHANNELS} does not contain addresses as the room writes them") from None
    return kept


class AddressFile:
    """Keeps the addresses of a data folder. Event loops share it; the file is written by one thread at a time."""

    def __init__(self, folder: Path, entropy: Entropy, is_private_allowed: bool) -> None:
        self._folder, self._entropy, self._is_private_allowed = folder, entropy, is_private_allowed
        self._lock = threading.Lock()

    async def keep(self, member: int, address: Address) -> KeptAddress:
        """Check an address and keep it for a member. Raises Refusal, which repeats no part of it."""
        found = await _in_thread(partial(self._keep, member, address.reveal().strip()))
        if isinstance(found, Refusal):
            raise found
        return found

    async def drop(self, marks: Collection[str]) -> None:
        """Remove addresses by their marks. Raises OSError."""
        if (error := await _in_thread(partial(self._drop, marks))) is not None:
            raise error

    async def find(self, mark: str) -> SecretStr | None:
        """The address with a mark; None if this folder does not have it. Raises UnreadableError."""
        found = await _in_thread(partial(self._find, mark))
        if isinstance(found, UnreadableError):
            raise found
        return found

    def keep_only(self, marks: Collection[str]) -> None:
        """Remove all other addresses: no channel has them. Raises UnreadableError, OSError."""
        with self._lock:
            kept = read_addresses(self._folder)
            if unused := set(kept.addresses) - set(marks):
                self._write(Kept(kept.key, {mark: kept.addresses[mark] for mark in kept.addresses.keys() - unused}))

    def _keep(self, member: int, text: str) -> KeptAddress | Refusal:
        if (fault := fault_of(text, self._is_private_allowed)) != "":
            return Refusal("invalid", f"This address was not added: {fault}.", FIX)
        if not channels.is_installed():
            fix = f"Ask the person who runs the server to run: {channels.INSTALL}"
            return Refusal("conflict", f"The server can send no letters: {channels.NOT_INSTALLED}.", fix)
        if not channels.is_understood(text):
            return Refusal("invalid", "This address was not added: Apprise does not understand it.", FIX)
        try:
            with self._lock:
                return self._add(member, text)
        except (UnreadableError, OSError) as error:
            logger.error(
                "an address cannot be kept: %s", error if isinstance(error, UnreadableError) else error.strerror
            )
            fix = "Nothing was changed. Ask the person who runs the server to run `teamroom doctor`."
            return Refusal("storage", "The server cannot write its file of addresses.", fix)

    def _add(self, member: int, text: str) -> KeptAddress | Refusal:
        kept = read_addresses(self._folder)
        if len(kept.addresses) >= MOST_KEPT:
            return Refusal("busy", "The server's file of addresses is full.", "Call again in a minute.")
        key, mark = kept.key or self._entropy(KEY_BYTES).hex(), self._entropy(MARK_BYTES).hex()
        same = {mark for mark, address in kept.addresses.items() if address == text}
        self._write(Kept(key, {**kept.addresses, mark: text}))
        digest = hmac.new(bytes.fromhex(key), f"{member} {text}".encode(), hashlib.sha256).hexdigest()
        return KeptAddress(Address(text).kind, mark, digest, same)

    def _drop(self, marks: Collection[str]) -> OSError | None:
        try:
            with self._lock:
                kept = read_addresses(self._folder)
                left = {mark: address for mark, address in kept.addresses.items() if mark not in marks}
                if len(left) < len(kept.addresses):
                    self._write(Kept(kept.key, left))
        except UnreadableError as error:
            return OSError(str(error))
        except OSError as error:
            return error
        return None

    def _find(self, mark: str) -> SecretStr | UnreadableError | None:
        try:
            address = read_addresses(self._folder).addresses.get(mark)
        except UnreadableError as error:
            return error
        return None if address is None else SecretStr(address)

    def _write(self, kept: Kept) -> None:
        write_private(self._folder / CHANNELS, json.dumps(kept._asdict(), indent=1) + "\n")


FIX = "Give an Apprise URL of a supported kind, such as ntfy://ntfy.sh/TOPIC; docs/notifications.md lists the kinds."


async def _in_thread(work: Callable[[], T]) -> T:
    """Do work in a thread whose log lines are dropped. A fault of ours is raised here, without its text."""

    def caught() -> Any:
        try:
            return work()
        except Exception as error:
            return _Fault(type(error).__name__)

    found: Any = await channels.in_thread(caught, lambda: None)
    if isinstance(found, _Fault):
        raise RuntimeError(f"addresses of channels: {found.kind}")
    return found  # type: ignore[no-any-return]


class _Fault(NamedTuple):
    """The kind of an exception that nobody expected. Its text could contain an address."""

    kind: str
