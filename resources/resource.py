"""What a resource is: an address, a read through the door, and its words."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from teamroom.server.acts.act import AnyRead
from teamroom.server.identity import Caller
from teamroom.server.topics import NAMES

SCHEME = "teamroom://"

Topics = Callable[[Caller, Any, Any], tuple[str, ...]]
"""Returns the topics of a resource for its follower, the arguments of the read, and the reply of `found_by`."""


@dataclass(frozen=True)
class Resource:
    """One resource, or a family of them if its address has a `{variable}`.

    `arguments` turns the variable into the read's arguments; `text` renders the reply as Markdown. `topics` are the
    changes that its followers get; a resource without topics never changes. `found_by` is the read that checks whether
    the resource exists and may be read, where that is not `reads`.
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
        """Its address, or the template of its addresses."""
        return f"{SCHEME}{self.path}"

    @property
    def is_template(self) -> bool:
        """Whether it is a family of resources."""
        return "{" in self.path

    @cached_property
    def pushed_by(self) -> AnyRead:
        """The read that is authorised again before each push. A pause ends the streams of a member."""
        return replace(self.reads, while_paused=False)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\\{\w+\\\}", r"([^/?#]{1,80})", re.escape(self.uri)))

    def topics_for(self, caller: Caller, arguments: Any, found: Any) -> frozenset[str]:
        """The topics that its follower gets: its own, and the names of members, which it shows. It has topics."""
        assert self.topics is not None
        return frozenset((*self.topics(caller, arguments, found), NAMES))

    def match(self, uri: str) -> dict[str, Any] | None:
        """The arguments of the read for an address; None if the address belongs to another resource."""
        found = self._pattern.fullmatch(uri)
        return None if found is None else self.arguments(found.group(1) if found.groups() else "")
