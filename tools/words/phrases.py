"""Phrases that several tools and resources share."""

from collections.abc import Iterable

from teamroom.server.acts.act import Reply
from teamroom.server.rules.text import one_line, said

SHOWN_CHARACTERS = 300
"""The longest part of a member's text inside a line of the room's."""


def cite_receipt(reply: Reply) -> str:
    """The number of a reply's receipt, or the time of the call that this reply repeats."""
    if reply.replayed is not None:
        return f" (the result of the same call at {reply.replayed}; another session of yours may have made it)"
    return f" (receipt {reply.receipt})" if reply.receipt is not None else ""


def count(number: int, thing: str) -> str:
    """A number of things: 1 entry, 2 entries."""
    if number == 1:
        return f"1 {thing}"
    return f"{number} {thing[:-1]}ies" if thing.endswith("y") else f"{number} {thing}s"


def quote(text: str, author: str | None = None) -> str:
    """A member's text as a quotation, because it is data. Give the author unless the line above names it."""
    head = "" if author is None else f"@{author} wrote:\n"
    return head + ("\n".join(f"> {line}" for line in text.splitlines()) or ">")


def shorten(text: str) -> str:
    """A member's text, shortened to fit into a line of the room's. The data of the reply has it in full."""
    return said(one_line(text, SHOWN_CHARACTERS))


def list_lines(title: str, lines: Iterable[str]) -> str:
    """Lines as a list under a title; an empty text if there are none."""
    items = [f"- {line}" for line in lines]
    return "\n" + "\n".join([f"{title}:", *items]) if items else ""
