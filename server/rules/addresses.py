"""Addresses of channels: what people may add themselves, and how an address is carried without being shown.

An address holds a password, or is one. So it has a type that prints and serialises without it.
"""

import re
from collections.abc import Set
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

ADDRESS_CHARACTERS = 2000

KIND = re.compile(r"[a-z][a-z0-9+.-]{0,31}")

OWN_KINDS: frozenset[str] = frozenset(
    {
        *("mailto", "mailtos", "ntfy", "ntfys", "signal", "signals", "tgram", "pover", "pbul", "spush", "threema"),
        *("slack", "discord", "mmost", "mmosts", "rocket", "rockets", "zulip", "matrix", "matrixs", "gotify"),
        *("gotifys", "workflow", "workflows", "pagerduty", "opsgenie", "twilio", "json", "jsons", "form", "forms"),
        *("xml", "xmls"),
    }
)
"""The kinds of channel that people may add themselves. Each only sends to other machines.

Other kinds of apprise show a message on the server's own screen, write to its log or use its devices.
"""

FILE_PARAMETERS: frozenset[str] = frozenset({"template", "pgp", "pgpkey", "pgpkeyfile", "keyfile"})
"""Parameters of addresses that name a file of the server, which would be read or sent."""

NAT64 = IPv6Network("64:ff9b::/96")


class Address:
    """The address of a channel as a person gave it. Only `reveal` returns it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The address itself, for the file that keeps it and for who sends to it."""
        return self._text

    @property
    def kind(self) -> str:
        """What comes before its colon. It may be a part of a secret until the kind is known to be one."""
        return self._text.partition("://")[0].lower()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._identity() == self._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[str, ...]:
        return (self._text,)

    def __repr__(self) -> str:
        return "Address(…)"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(max_length=ADDRESS_CHARACTERS)
        printed = core_schema.plain_serializer_function_ser_schema(repr)
        return core_schema.no_info_after_validator_function(cls, text, serialization=printed)


class KeptAddress(Address):
    """An address that is in the private file: only its name there, its kind, and what tells it from others.

    `mark`: its name in the file. `digest`: a keyed digest of it, so that a repeated call is recognised. `same`: the
    names of equal addresses in the file.
    """

    __slots__ = ("_kind", "digest", "mark", "same")

    def __init__(self, kind: str, mark: str, digest: str, same: Set[str] = frozenset()) -> None:
        super().__init__("")
        self._kind, self.mark, self.digest, self.same = kind, mark, digest, same

    @property
    def kind(self) -> str:
        """A known kind of channel."""
        return self._kind

    def _identity(self) -> tuple[str, ...]:
        return (self._kind, self.mark, self.digest)

    def __repr__(self) -> str:
        return f"Address({self.digest})"


def fault_of(address: str, private_allowed: bool) -> str:
    """Why a person may not add an address, without a part of it; "" if nothing speaks against it."""
    kind, colon, _ = address.partition("://")
    if not colon or KIND.fullmatch(kind.lower()) is None:
        return "it is not an Apprise URL, such as ntfy://… or mailto://…"
    if not address.isprintable() or any(char.isspace() for char in address):
        return "it contains white space or an invisible character"
    if kind.lower() not in OWN_KINDS:
        return "people cannot add this kind of channel themselves"
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        parameters = {name.strip().lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    except ValueError:
        return "it is not a URL"
    if parameters & FILE_PARAMETERS:
        return "it names a file of the server"
    if not private_allowed and is_private_host(host):
        return "its host is this machine or in a private network"
    return ""


def is_private_host(host: str) -> bool:
    """Whether a host is clearly not public. A name may still lead to a private address, which sending finds."""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return not is_public(host)


def is_public(host: str) -> bool:
    """Whether a numeric address belongs to the public internet. Anything but such an address does not."""
    try:
        found = ip_address(host)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None,))[0]
        if inner is None and found in NAT64:
            inner = ip_address(int(found) & 0xFFFF_FFFF)  # type: ignore[assignment]
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast
