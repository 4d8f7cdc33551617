"""Indexes the messages and tasks of an earlier release for the search, page by page, while the room runs."""

from teamroom.server.facts.timers import Timer, cancel_timer, postpone
from teamroom.server.rules.text import count_fitting
from teamroom.server.store.rows.messages import MessageSize
from teamroom.server.store.transaction import Writing

INDEX = "index"
"""The rule of the timer of what is not indexed yet. Its slot is the newest message that is not."""

PAGE, PAGE_CHARACTERS = 100, 60_000
"""How many messages, and texts of how many characters, one transaction indexes."""


def index_older(tx: Writing, due: Timer) -> None:
    """Index a page of the messages that are not indexed yet, the newest first. Each commit indexes some tasks."""
    page = tx.all(MessageSize, "newest_up_to", upto=due.slot, limit=PAGE)
    fit = count_fitting((message.characters for message in page), PAGE_CHARACTERS)
    rest = page[fit - 1].id - 1 if page else 0
    if page:
        tx.run("index_older_messages", after=rest, upto=due.slot)
    if rest or tx.value(int, "has_unindexed_task") is not None:
        tx.run("count_slot", **due.key, at=tx.now, span=0, slot=rest, counted=0, escalated=0)
        postpone(tx, due, tx.now)
    else:
        cancel_timer(tx, due.rule, due.subject, due.member)
