"""Finds messages by thread, addressee or words, each by an index."""

from dataclasses import dataclass, replace

from teamroom.server.facts.ids import LARGEST_NUMBER
from teamroom.server.rules.search import only_whole, rank_texts
from teamroom.server.store.rows.messages import MatchRow
from teamroom.server.store.transaction import Reading

RANKED_MATCHES = 100
"""How many of the newest matches are ranked. Older messages are found with more words."""

RANKED_CHARACTERS = 2_000
"""By how much of its text a match is ranked."""


@dataclass(frozen=True, slots=True)
class Filter:
    """The filter of a page: a thread, an addressee, an expression of words; 0 and "" for any."""

    thread: int = 0
    mention: int = 0
    words: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it matches every message."""
        return not (self.thread or self.mention or self.words)


def messages_from(tx: Reading, wanted: Filter, first: int, limit: int) -> list[int]:
    """Messages from a number on, in order."""
    if wanted.words:
        found = tx.column(int, "matches_from", **_matching(tx, wanted, first, LARGEST_NUMBER), limit=limit)
    elif wanted.thread:
        found = tx.column(int, "thread_from", thread=wanted.thread, mention=wanted.mention, first=first, limit=limit)
    else:
        found = tx.column(int, "mentions_from", mention=wanted.mention, first=first, limit=limit)
    return found


def messages_before(tx: Reading, wanted: Filter, end: int, limit: int) -> list[int]:
    """Messages before a number, newest first."""
    if wanted.words:
        found = tx.column(int, "matches_before", **_matching(tx, wanted, 0, end), limit=limit)
    elif wanted.thread:
        found = tx.column(int, "thread_before", thread=wanted.thread, mention=wanted.mention, end=end, limit=limit)
    else:
        found = tx.column(int, "mentions_before", mention=wanted.mention, end=end, limit=limit)
    return found


def search_messages(tx: Reading, wanted: Filter, limit: int) -> list[int]:
    """The matches of words, best first; newest first under another filter.

    The index finds a whole word from its newest message on, and the beginning of one only from its first. So the last
    word is looked for as a whole, and as a beginning only if that does not fill the page.
    """
    whole = replace(wanted, words=only_whole(wanted.words))
    found = _search(tx, whole, limit)
    if len(found) < limit and whole != wanted:
        found = _search(tx, wanted, limit)
    return found


def _search(tx: Reading, wanted: Filter, limit: int) -> list[int]:
    if not wanted.words:
        return []
    if wanted.thread or wanted.mention:
        return messages_before(tx, wanted, LARGEST_NUMBER, limit)
    newest = tx.all(MatchRow, "newest_matches", words=wanted.words, characters=RANKED_CHARACTERS, limit=RANKED_MATCHES)
    texts = [row.text if row.summary == row.text else f"{row.summary} {row.text}" for row in newest]
    ranks = rank_texts(wanted.words, texts)
    return [newest[at].id for at in sorted(range(len(newest)), key=lambda at: -ranks[at])[:limit]]


def _matching(tx: Reading, wanted: Filter, first: int, end: int) -> dict[str, int | str]:
    """The parameters of a search. A thread limits it to the numbers from its first message to its last."""
    if wanted.thread:
        newest = tx.column(int, "thread_before", thread=wanted.thread, mention=0, end=end, limit=1)
        first, end = max(first, wanted.thread), newest[0] + 1 if newest else first
    return {"words": wanted.words, "thread": wanted.thread, "mention": wanted.mention, "first": first, "end": end}
