"""Turns of phrase that several tools share."""

from collections.abc import Iterable

from teamroom.server.acts.act import Reply
from teamroom.server.facts.owed import Slot
from teamroom.server.rules.text import one_line, said

SHOWN_CHARACTERS = 300
"""How much of a member's text stands inside a line of ours."""


def receipt(reply: Reply) -> str:
    """The number of a reply's receipt, and whether it is the answer of an earlier call."""
    if reply.replayed is not None:
        return f" (this is the result of the same call at {reply.replayed}; another session of yours may hold it)"
    return f" (receipt {reply.receipt})" if reply.receipt is not None else ""


def counted(number: int, thing: str) -> str:
    """A number of things: 1 entry, 2 entries."""
    if number == 1:
        return f"1 {thing}"
    return f"{number} {thing[:-1]}ies" if thing.endswith("y") else f"{number} {thing}s"


def quoted(text: str, author: str | None = None) -> str:
    """A member's text as a quotation: data, whatever it says. Its author is named where no line above does."""
    head = "" if author is None else f"@{author} wrote:\n"
    return head + ("\n".join(f"> {line}" for line in text.splitlines()) or ">")


def shortened(text: str) -> str:
    """A member's text inside a line of ours; the whole is in the data of the reply."""
    return said(one_line(text, SHOWN_CHARACTERS))


def listed(title: str, lines: Iterable[str]) -> str:
    """A short list under a title; nothing where there is nothing."""
    items = [f"- {line}" for line in lines]
    return "\n" + "\n".join([f"{title}:", *items]) if items else ""


def reminded(slots: list[Slot]) -> str:
    """Reminders that were sent or left out, and why."""
    return listed("Reminders", map(Slot.line, slots))
