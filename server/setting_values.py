"""Values of settings that have a form of their own: channels, databases, public addresses and time zones."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr

from teamroom.server.rules.names import AT, normalize_name

PEOPLE, CHANNELS = 32, 4
"""The most people that can have channels, and the most channels of each."""

PUBLIC_HOST = r"[A-Za-z0-9.:\[\]-]+"
PUBLIC_PATH = r"(/[A-Za-z0-9._~-]+)*/?"
"""The host and the path of a public address: plain ones, which no proxy writes otherwise."""

HOST = r"(?:\[[^\]@/?#]*\]|[^\[\]@/?#:,]*)(?::[0-9]+)?"
ADDRESS = re.compile(
    rf"(?P<scheme>postgres(?:ql)?://)(?:(?P<user>[^@/?#:]*)(?::[^@/?#]*)?@)?(?P<place>{HOST}(?:,{HOST})*(?:/[^@?#]*)?)"
    r"(?:\?[^@#]*)?"
)
"""The parts of a database's address, of which the password and the options are never shown."""

TIME_OF_DAY = r"([01][0-9]|2[0-3]):[0-5][0-9]"


def scheme(channel: SecretStr) -> str:
    """The part of a channel's URL that may be shown: the word before its colon."""
    return channel.get_secret_value().partition("://")[0]


def _channel(channel: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[a-z][a-z0-9+.-]{0,31}", scheme(channel)) or "://" not in channel.get_secret_value():
        raise ValueError("a channel is a URL such as mailto://… or json://…")
    return channel


def check_database(address: SecretStr) -> SecretStr:
    """The address of a database that the room can use, or none. Raises ValueError."""
    if address.get_secret_value() and not address.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("it must begin with postgresql://")
    return address


def without_password(address: SecretStr) -> str:
    """The address of a database as people may see it: who, where and which one."""
    text = address.get_secret_value()
    found = ADDRESS.fullmatch(text)
    if found is None:  # what is wrong may be in the password
        return "postgresql://…" if text else ""
    user = "" if found["user"] is None else f"{found['user']}@"
    return f"{found['scheme']}{user}{found['place']}"


class ByName(dict[str, Any]):
    """Values by the names of members, which are found in any case."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__((normalize_name(name.lstrip(AT)), value) for name, value in given.items())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(normalize_name(name))

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(normalize_name(name))

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a name, else the default."""
        return super().get(normalize_name(name), default)


def plain_url(text: str) -> str:
    """The public address of a room in its one plain form. Raises ValueError."""
    if not text:
        return text
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    is_plain = is_one and re.fullmatch(PUBLIC_HOST, parts.netloc) and re.fullmatch(PUBLIC_PATH, parts.path)
    if not is_plain or parts.query or parts.fragment:
        raise ValueError("write it like https://room.example.org or https://example.org/room")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/').removesuffix('/mcp')}"


def check_zone(name: str) -> str:
    """The name of a time zone that this machine knows. Raises ValueError."""
    try:
        name == "UTC" or ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{name!r} is not a time zone that this machine knows; use a name such as Europe/Berlin"
        ) from None
    return name


Channel = Annotated[SecretStr, Field(min_length=4, max_length=2000), AfterValidator(_channel)]
Channels = Annotated[list[Channel], Field(min_length=1, max_length=CHANNELS)]
