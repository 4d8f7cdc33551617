"""Replies of the room with their fields as attributes, as the server's models have them.

The models are imported for their types alone: loading them, and with them half of the server, takes longer than all
else that a shell command does. A test holds replies against them.
"""

from collections.abc import Mapping
from typing import Any


class Shape(dict[str, Any]):
    """A JSON object whose fields are attributes too. A field that is named like a method of a mapping is only a key."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def shaped(reply: Mapping[str, Any]) -> Any:
    """A reply as a Shape, all through. Say what it is where it is bound: `found: Roster = shaped(reply)`."""
    return _shaped(reply)


def _shaped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Shape((name, _shaped(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return [_shaped(inner) for inner in value]
    return value
