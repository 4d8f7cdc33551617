"""Replies of the room with their fields as attributes, like the server's models.

Clients import the models only for their types. At run time, the models would load half of the server, which takes
longer than everything else that a shell command does. A test compares replies with the models.
"""

from collections.abc import Mapping
from typing import Any


class Shape(dict[str, Any]):
    """A JSON object whose fields are also attributes. A field named like a method of dict is only a key."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def shaped(reply: Mapping[str, Any]) -> Any:
    """Return a reply as nested Shapes. Annotate the result with its model: `found: Roster = shaped(reply)`."""
    return _shaped(reply)


def _shaped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Shape((name, _shaped(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return [_shaped(inner) for inner in value]
    return value
