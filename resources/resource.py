"""What a resource is: an address, a read through the door, and its words."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from teamroom.server.acts.act import AnyRead

SCHEME = "teamroom://"


@dataclass(frozen=True)
class Resource:
    """One resource, or with a `{variable}` in its address a family of them.

    `arguments` turns the variable into the read's arguments; `text` puts the reply into Markdown.
    """

    path: str
    title: str
    description: str
    reads: AnyRead
    text: Callable[[Any], str]
    arguments: Callable[[str], dict[str, Any]] = field(default=lambda _: {})

    @property
    def uri(self) -> str:
        """Its address, or its template."""
        return f"{SCHEME}{self.path}"

    @property
    def is_template(self) -> bool:
        """Whether it stands for many."""
        return "{" in self.path

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\\{\w+\\\}", r"([^/?#]{1,80})", re.escape(self.uri)))

    def match(self, uri: str) -> dict[str, Any] | None:
        """The arguments of the read behind an address, or None if the address is not this one's."""
        found = self._pattern.fullmatch(uri)
        return None if found is None else self.arguments(found.group(1) if found.groups() else "")
