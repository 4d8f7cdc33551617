"""This server's ear in the database: what other servers tell after their commits, and whether the database answers.

It listens on a connection of its own, on a thread of its own, and looks at the head four times a second. If a message
was lost, everything that waits or follows something looks again. If the database does not answer for almost two
seconds, this server is cut off: it refuses, and ends its streams, until the database answers again.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import psycopg

from teamroom.server.clock import Moment, RoomClock
from teamroom.server.store.engine import UnreachableError
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.connect import AGAIN_SECONDS as CONNECT_SECONDS
from teamroom.server.store.postgres.connect import OPEN_SECONDS, connect_writer
from teamroom.server.store.postgres.news import News
from teamroom.server.store.postgres.session import Session
from teamroom.server.store.transaction import Context, Effects

log = logging.getLogger("teamroom.store")

LOOK_SECONDS = 0.25
"""How often the head is looked at, whatever was heard."""

ANSWER_SECONDS = 1.4
"""How long an answer may take before the connection counts as lost."""

SILENT_SECONDS = LOOK_SECONDS + ANSWER_SECONDS
"""After this long without an answer, the database counts as unreachable: less than two seconds."""

AGAIN_SECONDS = 0.1
"""Between two tries to connect, and the longest that a stop waits for a link that hears nothing."""

CLOSE_SECONDS = 1.0
"""How long `close` waits for the link's thread. One that still connects ends after this, in time."""

WATCH_SECONDS = 0.05
"""How often it is looked how long the database has been silent."""

REVOKED_SECONDS = 3600.0
"""How long before a look tokens were revoked whose connections end, if messages were lost."""


class Link:
    """Listens for other servers' news until it is closed."""

    def __init__(
        self, address: Address, context: Context, news: News, tell: Callable[[Effects], None], cut: Callable[[], None]
    ) -> None:
        """`tell` gets what other servers' acts cause; `cut` is called when the database stops answering.

        Both are called on threads of the link.
        """
        self._address, self._context, self._news = address, context, news
        self._tell, self._cut = tell, cut
        self._session: Session | None = None
        self._heard: int | None = None
        """The number of the log up to which this server knows what happened; None before the first look."""
        self._seen = 0
        self._answered_at = time.monotonic()
        self.is_cut_off = False
        self.lost = 0
        """How often messages were found to be lost."""
        self._closing = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="teamroom-link", daemon=True)
        self._watch = threading.Thread(target=self._watch_silence, name="teamroom-silence", daemon=True)

    def start(self) -> None:
        """Begin to listen; raises psycopg.Error if that is not possible."""
        self._listen(OPEN_SECONDS)
        self._thread.start()
        self._watch.start()

    def close(self) -> None:
        """Stop listening. Blocks for twice `CLOSE_SECONDS` at most."""
        self._closing.set()
        for thread in (self._watch, self._thread):
            if thread.is_alive():
                thread.join(CLOSE_SECONDS)
        if self._session is None:
            return
        if self._thread.is_alive():
            self._session.is_given_up = True
        else:
            self._session.close()

    def require(self) -> None:
        """Raise UnreachableError if this server is cut off from the database."""
        if self.is_cut_off:
            raise UnreachableError(f"the database has not answered for {time.monotonic() - self._answered_at:.0f} s")

    # on the link's thread from here on

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                if self._session is None or not self._session.is_open:
                    self._listen()
                self._hear(self._session)
            except Exception as error:
                if self._closing.is_set():
                    break
                if not isinstance(error, psycopg.Error):
                    log.exception("the link to other servers failed; it goes on")
                self._failure = error
                self._closing.wait(AGAIN_SECONDS)
        if self._session is not None:  # it may be newer than the one that `close` gave up
            self._session.close()

    def _listen(self, seconds: int = CONNECT_SECONDS) -> None:
        if self._session is not None:
            self._session.close()
        self._session = session = connect_writer(self._address, LOOK_SECONDS, seconds)
        session.patience = ANSWER_SECONDS
        self._news.find_channel(session)
        session.script(f'listen "{self._news.channel}"')
        self._look(session)

    def _hear(self, session: Session | None) -> None:
        """Hear what was said, and then look at the head. Raises psycopg.Error."""
        if session is None:
            return
        until = time.monotonic() + LOOK_SECONDS
        while (left := until - time.monotonic()) > 0 and not self._closing.is_set():
            for payload in session.notified(min(left, AGAIN_SECONDS)):
                self._answer(payload)
        if not self._closing.is_set():
            self._look(session)

    def _answer(self, payload: str) -> None:
        heard = self._news.read(payload)
        if heard.before > (heard.before if self._heard is None else self._heard) or heard.effects.are_lost:
            self._look_again()
        self._heard = max(self._heard or 0, heard.after)
        if self._news.is_news(heard):
            self._tell(heard.effects if heard.server != self._news.server else replace(heard.effects, spent={}))

    def _look(self, session: Session) -> None:
        """Look at the head. What it showed the last time must have been heard since. Raises psycopg.Error."""
        row = session.execute(self._context.statements["look_at_head"], {}).fetchone()
        self._answered_at, self._failure = time.monotonic(), None
        was_cut_off, self.is_cut_off = self.is_cut_off, False
        if was_cut_off:
            log.warning("the database answers again")
        if row is None:
            return
        seq, room_at, ahead, wall = row
        if isinstance(self._context.clock, RoomClock):
            self._context.clock.agree(Moment(room_at, ahead), wall)
        if self._heard is None:
            self._heard = seq
        elif was_cut_off or self._seen > self._heard:
            self._heard = max(self._seen, self._heard)
            self._look_again()
        self._seen = seq

    def _look_again(self) -> None:
        """Tell that something was lost, with everybody who is stopped now. Raises psycopg.Error."""
        self.lost += 1
        session = self._session
        if session is None:
            return
        run, now = self._context.statements, self._context.clock()
        stopped = session.execute(run["stopped_members"], {"now": now}).fetchall()
        revoked = session.execute(run["revoked_lately"], {"since": now - REVOKED_SECONDS}).fetchall()
        self._tell(
            Effects(
                ended={member for member, _ in stopped},
                killed={member for member, was_killed in stopped if was_killed},
                revoked={token for (token,) in revoked},
                due=now,
                letters=True,
                are_lost=True,
            )
        )

    def _watch_silence(self) -> None:
        """On a thread that never waits for the database: cut this server off if that has not answered for too long."""
        while not self._closing.wait(WATCH_SECONDS):
            silent = time.monotonic() - self._answered_at
            if silent < SILENT_SECONDS or self.is_cut_off:
                continue
            self.is_cut_off = True
            why = "" if self._failure is None else f" ({self._failure})"
            log.error("the database has not answered for %.1f s%s: this server refuses until it does", silent, why)
            self._cut()
