"""Cursors: who reads on from where it stopped sees every entry once and in order, and no wake is lost."""

import contextlib
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from teamroom.server.acts.messages.messages import POST_MESSAGE, READ_MESSAGES
from teamroom.server.acts.presence.presence import ACKNOWLEDGE, CHECK_IN
from teamroom.server.acts.receipts.receipts import READ_RECEIPTS, READ_STREAM
from teamroom.server.acts.tasks.tasks import CREATE_TASK
from tests.models.world import Model, Plan, code, statement

MEMBERS = ["ann", "bob", "cid"]
names = st.sampled_from(MEMBERS)


class Cursors(Model):
    """Three who write and wake each other, each a reader with cursors of its own."""

    PLAN = Plan(
        {name: {} for name in MEMBERS},
        {"repeat_seconds": 0, "notes_per_hour": 1000, "wakes_from_one": 1000, "exchange_rounds": 100},
    )
    """What keeps the room quiet is left out: it is modelled elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.begin = self.world.read("olga", READ_RECEIPTS, limit=1).cursor
        self.written: list[tuple[int, str]] = []
        self.messages: list[tuple[int, str]] = []
        self.wakes: dict[str, list[tuple[int, str]]] = {name: [] for name in MEMBERS}
        self.acknowledged = dict.fromkeys(MEMBERS, 0)
        self.places = {(name, what): self.begin for name in MEMBERS for what in ("stream", "messages", "log")}
        self.seen: dict[tuple[str, str], list[int]] = {place: [] for place in self.places}

    # ---------------------------------------------------------------- what members do

    @rule(author=names, to=st.lists(names, max_size=3, unique=True))
    def post(self, author: str, to: list[str]) -> None:
        self.number += 1
        reply = self.world.act(author, POST_MESSAGE, text=f"message {self.number}", to=to)
        assert code(reply) == "ok"
        self.written.append((reply.receipt, reply.message))
        self.messages.append((reply.receipt, reply.message))
        for name in set(to) - {author}:
            self.wakes[name].append((reply.receipt, reply.message))

    @rule(author=names)
    def create(self, author: str) -> None:
        self.number += 1
        reply = self.world.act(author, CREATE_TASK, title=f"task {self.number}")
        self.written.append((reply.receipt, reply.task))

    @rule(author=names)
    def is_refused(self, author: str) -> None:
        """A refusal leaves its receipt, or is counted: it takes a number in the log, and no line of the stream."""
        assert code(self.world.act(author, POST_MESSAGE, text="to nobody", to=["nobody"])) == "not_found"

    # ---------------------------------------------------------------- what readers see

    @rule(name=names, limit=st.integers(1, 5))
    def read_the_stream(self, name: str, limit: int) -> None:
        after = self.places[name, "stream"]
        page = self.world.read(name, READ_STREAM, after=after, limit=limit)
        seqs = [entry.seq for entry in page.entries]
        assert [(e.seq, e.subject) for e in page.entries] == [entry for entry in self.written if entry[0] > after][
            :limit
        ]
        for entry, before in zip(page.entries[1:], page.entries, strict=False):
            assert entry.previous == before.seq
        self.advance(name, "stream", seqs, page.cursor)

    @rule(name=names, limit=st.integers(1, 5))
    def read_messages(self, name: str, limit: int) -> None:
        after = self.places[name, "messages"]
        page = self.world.read(name, READ_MESSAGES, after=after, limit=limit)
        found = [(message.seq, message.id) for message in page.messages]
        assert found == [message for message in self.messages if message[0] > after][:limit]
        before = max((seq for seq, _ in self.messages if seq <= after), default=0)
        for message in page.messages:
            assert message.previous == before
            before = message.seq
        self.advance(name, "messages", [seq for seq, _ in found], page.cursor)

    @rule(name=names, limit=st.integers(1, 5))
    def read_the_log(self, name: str, limit: int) -> None:
        """The whole log is dense; only who runs the room reads it, so each reader is @olga with its own cursor."""
        after = self.places[name, "log"]
        page = self.world.read("olga", READ_RECEIPTS, after=after, limit=limit)
        seqs = [receipt.seq for receipt in page.receipts]
        assert seqs == list(range(after + 1, after + 1 + len(seqs)))
        missing = [seq for seq, _ in self.written if after < seq <= after + limit and seq not in seqs]
        assert missing == []
        self.advance(name, "log", seqs, page.cursor)

    def advance(self, name: str, what: str, seqs: list[int], cursor: int) -> None:
        place = (name, what)
        assert cursor >= self.places[place], "a cursor went back"
        assert cursor == (seqs[-1] if seqs else cursor)
        self.seen[place] += seqs
        assert self.seen[place] == sorted(set(self.seen[place])), "an entry was seen twice, or out of order"
        self.places[place] = cursor

    # ---------------------------------------------------------------- wakes

    @rule(name=names)
    def check_in(self, name: str) -> None:
        """Every wake that was not acknowledged is shown, in order, however often it was shown before."""
        reply = self.world.act(name, CHECK_IN)
        assert [(w.seq, w.subject) for w in reply.wakes] == self.pending(name)

    @rule(name=names, by_waiting=st.booleans())
    def acknowledge(self, name: str, by_waiting: bool) -> None:
        cursor = self.world.act(name, CHECK_IN).cursor
        act = ACKNOWLEDGE if by_waiting else CHECK_IN
        assert code(self.world.act(name, act, after=cursor)) == "ok"
        self.acknowledged[name] = max(self.acknowledged[name], cursor)

    @rule(name=names, back=st.integers(1, 5))
    def acknowledge_less_than_before(self, name: str, back: int) -> None:
        after = max(self.acknowledged[name] - back, 0)
        assert code(self.world.act(name, CHECK_IN, after=after)) == "ok"
        self.acknowledged[name] = max(self.acknowledged[name], after)

    @rule(name=names)
    def acknowledge_what_is_not_there(self, name: str) -> None:
        assert code(self.world.act(name, CHECK_IN, after=1_000_000)) == "invalid"

    def pending(self, name: str) -> list[tuple[int, str]]:
        return [wake for wake in self.wakes[name] if wake[0] > self.acknowledged[name]]

    @rule(seconds=st.sampled_from([1.0, 601.0, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @invariant()
    def nothing_that_was_acknowledged_is_lost(self) -> None:
        """From the beginning, the stream has everything that was ever answered."""
        page = self.world.read("olga", READ_STREAM, after=self.begin, limit=100)
        assert [(entry.seq, entry.subject) for entry in page.entries] == self.written[:100]


@contextlib.contextmanager
def a_page_that_begins_one_too_late() -> Iterator[None]:
    """The twin: a reader misses the first message after its cursor, now and then."""
    with statement("messages_after", lambda sql: sql.replace("> :after", "> :after + (:after % 2)")):
        yield


TWIN: Any = a_page_that_begins_one_too_late
