"""Long reads of a large room in PostgreSQL: each looks at few rows, because an index leads to what it shows."""

from collections.abc import Iterator

import pytest

from teamroom.server.store.postgres.session import Session
from teamroom.server.store.statements import postgres_statements
from tests.support.plans import filled_database, looked_at
from tests.support.promises import house

pytestmark = [pytest.mark.postgres, house]

MEMBERS, MESSAGES, TIMERS, WAKES = 1_000, 30_000, 30_000, 30_000
LOOKED_AT, LIMIT = 200, 15
MOST_LOOKED_AT = 2_000
"""At how many rows of a table a read may look: at all members, but never at all of what grows."""

PERSON, BUSY, QUIET = 2, 3, 4
"""A person, the member to whom all wakes belong, and one without wakes."""

FILL = (
    "insert into member (id, name, folded, kind, role, owner, mode, created_at, acknowledged) "
    "select i, 'm' || i, 'm' || i, case i when 1 then 'room' when 2 then 'human' else 'agent' end, 'owner', "
    f"least(i, 2), 'manual', 0, 0 from generate_series(1, {MEMBERS}) as i",
    "insert into standing (scope, target, state, since, by_member, by_role, reason) "
    "select 'member', id, 'active', 0, 1, 'owner', '' from member where kind <> 'room'",
    "insert into message (id, seq, author, at, kind, summary, text, thread) "
    "select i, i, 3 + i % 900, i, case when i % 10 = 0 then 'ask' else 'note' end, '', '', 1 "
    f"from generate_series(1, {MESSAGES}) as i",
    "insert into addressee (message, member, author) "
    f"select id, case kind when 'ask' then {PERSON} else {BUSY} end, author from message",
    "insert into due (rule, subject, member, at, since, span, escalated, failures) "
    "select 'task', i, 3 + i % 900, i, i, 1, case when i % 10000 = 0 then 1 else 0 end, "
    f"case when i % 10000 = 0 then 1 else 0 end from generate_series(1, {TIMERS}) as i",
    "insert into due (rule, subject, member, at, since, span) "
    f"select 'ask', id, {PERSON}, 1, 1, 1 from message where kind = 'ask' order by id limit {LOOKED_AT}",
    "insert into wake (member, seq, reason, subject, sender, line) "
    f"select {BUSY}, i, 'mention', 'M-1', {PERSON}, '' from generate_series(1, {WAKES}) as i",
    "analyze",
)
"""A person is asked in every tenth message of one long thread; few timers were escalated, and few fail."""

READS = {
    "asks_to_people": {"looked_at": LOOKED_AT, "limit": LIMIT},
    "escalated": {"limit": LIMIT},
    "count_failing": {},
    "pending_wakes": {"member": QUIET, "after": 0, "limit": LIMIT},
}

WALKS = {
    "asks_to_people": f"select id from message where thread = 1 and author + 0 = {PERSON}",
    "escalated": "select member from due where escalated + 0 = 1",
    "count_failing": "select count(*) from due where failures + 0 > 0",
    "pending_wakes": f"select seq from wake where member + 0 = {QUIET} order by seq limit {LIMIT}",
}
"""What each would do without its index."""


@pytest.fixture(scope="module")
def large() -> Iterator[Session]:
    """The database of a large room."""
    with filled_database(FILL) as session:
        yield session


@pytest.mark.parametrize("name", READS)
def test_a_long_read_looks_at_few_rows(large: Session, name: str) -> None:
    found = looked_at(large, postgres_statements()[name], READS[name])
    assert max(found.values()) <= MOST_LOOKED_AT, found


def test_a_database_that_goes_by_its_figures_walks_through_the_wakes_of_another_member(large: Session) -> None:
    large.script("begin")
    large.script("alter table wake alter column member reset (n_distinct)")
    large.script("analyze wake")
    found = looked_at(large, postgres_statements()["pending_wakes"], READS["pending_wakes"])
    large.script("rollback")
    assert found["wake"] > MOST_LOOKED_AT


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_through_a_table_is_found(large: Session, name: str) -> None:
    assert max(looked_at(large, WALKS[name], {}).values()) > MOST_LOOKED_AT
