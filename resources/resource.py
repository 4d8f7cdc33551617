"""What a resource is: an address, a read through the door, and its words."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from teamroom.server.acts.act import AnyRead
from teamroom.server.identity import Caller

SCHEME = "teamroom://"

Topics = Callable[[Caller, Any, Any], tuple[str, ...]]
"""From who follows a resource, the read's arguments and the reply of `found_by`, to what it is told of."""


@dataclass(frozen=True)
class Resource:
    """One resource, or with a `{variable}` in its address a family of them.

    `arguments` turns the variable into the read's arguments; `text` puts the reply into Markdown.
    `topics` says which changes whoever follows it is told of; without, it never changes. `found_by` is the
    read that shows that it exists and may be read, where that is not `reads`.
    """

    path: str
    title: str
    description: str
    reads: AnyRead
    text: Callable[[Any], str]
    arguments: Callable[[str], dict[str, Any]] = field(default=lambda _: {})
    topics: Topics | None = None
    found_by: AnyRead | None = None

    @property
    def uri(self) -> str:
        """Its address, or its template."""
        return f"{SCHEME}{self.path}"

    @property
    def is_template(self) -> bool:
        """Whether it stands for many."""
        return "{" in self.path

    @cached_property
    def pushed_by(self) -> AnyRead:
        """The read that is authorised again before each push. A paused member's streams have ended."""
        return replace(self.reads, while_paused=False)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\\{\w+\\\}", r"([^/?#]{1,80})", re.escape(self.uri)))

    def match(self, uri: str) -> dict[str, Any] | None:
        """The arguments of the read behind an address, or None if the address is not this one's."""
        found = self._pattern.fullmatch(uri)
        return None if found is None else self.arguments(found.group(1) if found.groups() else "")
