"""Renders the page's templates. Everything that is not the page's own is escaped, and isolated in its direction.

The filters write their markup as texts: `Markup.format` takes ten times as long, and each line of a page needs some.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teamroom.resources.page.assets import path_of
from teamroom.server.rules.hooks import DOING
from teamroom.server.rules.runtimes import describe_place
from teamroom.server.rules.text import describe_mode, state_in_words
from teamroom.server.rules.wakes import say_unverified

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"

NAMED = re.compile(r"\b([TMD])-(\d{1,18})\b|(?<![\w.@/-])@([A-Za-z0-9][A-Za-z0-9._-]{0,31})(?<![._-])")
"""What a text names that has a page: tasks, messages, decisions and members."""

ROOM_NAME = "room"

PLACES = {"T": "tasks", "M": "messages", "D": "decisions"}

Render = Callable[..., bytes]


@cache
def environment() -> "Environment":
    """The environment of the templates. It is made with the first page, because the import takes a while."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"time": show_time, "said": isolate, "linked": link_names, "words": state_in_words}
    made.filters |= {"at": link_member, "mode": show_mode, "place": describe_place, "unverified": say_unverified}
    made.globals |= {"asset": path_of, "phases": DOING}
    for name in made.list_templates():
        made.get_template(name)  # all now: an upgrade in place must not mix two releases
    return made


def render(template: str, base: str, **found: Any) -> bytes:
    """Render a template. `base`: the path of the proxy in front of the room, before every path of the page."""
    return environment().get_template(template).render(base=base, **found).encode()


def show_time(at: str | None) -> "Markup":
    """A time of the room, RFC 3339 in UTC. The script shows its age, in the reader's zone; without it, UTC is shown."""
    from markupsafe import Markup, escape

    if not at:
        return Markup("")
    when, exact = datetime.fromisoformat(at), escape(at)
    return Markup(f'<time datetime="{exact}" title="{exact}">{when:%d %b %H:%M} UTC</time>')


def show_mode(member: Any) -> str:
    """A member's mode, marked if nothing keeps it."""
    return describe_mode(member.mode, member.supported)


def isolate(text: Any) -> "Markup":
    """A member's text: escaped, and in a box of its own, so that its direction stays inside."""
    from markupsafe import Markup, escape

    return Markup(f'<bdi class="said">{escape("" if text is None else str(text))}</bdi>')


def link_member(name: str, base: str) -> "Markup":
    """A member's name with a link to its page. The room itself has none."""
    from markupsafe import Markup, escape

    shown = escape(name)
    if name == ROOM_NAME:
        return Markup(f"@{shown}")
    return Markup(f'<a href="{escape(base)}/members/{shown}">@{shown}</a>')


def link_names(text: Any, base: str) -> "Markup":
    """A line of the room, with links to the tasks, messages, decisions and members that it names."""
    from markupsafe import Markup, escape

    prefix = escape(base)

    def link(found: re.Match[str]) -> str:
        kind, number, name = found.groups()
        if name == ROOM_NAME:
            return found[0]
        path = f"members/{name}" if name else f"{PLACES[kind]}/{kind}-{number}"
        return f'<a href="{prefix}/{path}">{found[0]}</a>'

    # names and ids have no character that is escaped, so they are found in the escaped text as in the text
    return Markup(f'<bdi class="said">{NAMED.sub(link, str(escape(str(text))))}</bdi>')
