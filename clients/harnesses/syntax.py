"""What a config's syntax can do for a merge: read a text, and change one part of it and nothing else."""

from collections.abc import Sequence
from typing import Any, Protocol

Steps = Sequence[str | int]
"""The keys and positions that lead from the top of a config to a part of it."""

DEEPEST = 100
"""How many objects and lists may lie in each other. Configs need fewer than ten."""


class BrokenError(ValueError):
    """A text that is not what its syntax wants. The message says where."""


class Syntax(Protocol):
    """One syntax. Every method raises BrokenError for a text that it cannot read."""

    name: str

    def load(self, text: str) -> Any:
        """Return the value of a text. Empty and blank texts are an empty object."""

    def insert_key(self, text: str, container: Steps, key: str, value: Any) -> str:
        """Return the text with one more key in an object that exists."""

    def append_item(self, text: str, container: Steps, value: Any) -> str:
        """Return the text with one more item at the end of a list that exists."""

    def remove(self, text: str, path: Steps) -> str:
        """Return the text without one key or item that exists."""
