"""Search in PostgreSQL: however common or rare a word is, the newest matches are found among few messages."""

from collections.abc import Iterator
from typing import Any

import pytest

from teamroom.server.rules.search import parse_search
from teamroom.server.store.postgres.session import Session
from teamroom.server.store.postgres.words import as_query
from teamroom.server.store.statements import postgres_statements
from tests.support.plans import filled_database, looked_at
from tests.support.promises import house

pytestmark = [pytest.mark.postgres, house]

MESSAGES, LIMIT = 50_000, 20
MOST_LOOKED_AT = 10_000
"""At how many of them a search may look."""

FILL = (
    "insert into member (id, name, folded, kind, role, owner, mode, created_at, acknowledged) "
    "values (1, 'room', 'room', 'room', 'owner', 1, 'manual', 0, 0)",
    "insert into message (id, seq, author, at, kind, summary, text, thread) "
    f"select i, i, 1, i, 'note', '', i, i from generate_series(1, {MESSAGES}) as i",
    "insert into message_words (message, words) select id, to_tsvector('simple', "
    "concat_ws(' ', 'status 构 建', 'w' || id % 300, 'v' || id % 40, case when id % 997 = 0 then 'rare' end, "
    "case when id < 50 then 'ancient' end, case when id = 20000 then 'single' end)) from message",
    "analyze message, message_words",
)
"""Each message says "status" and "构建", one in 300 "w7", one in a thousand "rare", and the oldest ones "ancient"."""

SEARCHES = (
    *("status", "sta", "w7", "w7 status", "v7 w7", "v3 w7", "rare", "rare status", "ancient", "single", "nowhere"),
    *("构建", "nowhere status"),
)

WALK = (
    "select message.id, message.summary, message.text from message_words join message on message.id = message "
    "where ts_match_vq(words, cast(:words__query as tsquery)) order by message desc limit :limit"
)
"""Each message is looked at, from the newest on."""


@pytest.fixture(scope="module")
def searched() -> Iterator[Session]:
    """A database with many messages."""
    with filled_database(FILL) as session:
        yield session


def asked(query: str) -> dict[str, Any]:
    return {"words": parse_search(query), "characters": 100, "limit": LIMIT}


def matches(session: Session, sql: str, query: str) -> list[int]:
    return [id_ for id_, *_ in session.execute(sql, asked(query)).fetchall()]


def at_how_many(session: Session, sql: str, query: str) -> int:
    """How many rows of the words a statement looks at."""
    values = {**asked(query), "words__query": as_query(parse_search(query))}
    return looked_at(session, sql, values)["message_words"]


@pytest.mark.parametrize("query", SEARCHES)
def test_the_newest_matches_are_found_among_few_messages(searched: Session, query: str) -> None:
    sql = postgres_statements()["newest_matches"]
    assert matches(searched, sql, query) == matches(searched, WALK, query)
    assert at_how_many(searched, sql, query) <= MOST_LOOKED_AT


def test_a_walk_looks_at_every_message_for_a_word_that_nobody_said(searched: Session) -> None:
    assert at_how_many(searched, WALK, "nowhere") >= MESSAGES
