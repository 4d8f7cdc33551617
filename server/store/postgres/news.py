"""What servers of one room tell each other after a commit, over `NOTIFY`: whom to wake, and what to end.

It carries no content and may be lost. Each message names the numbers of the log before and after its commit, so a
server that misses one notices, and looks at everything again.
"""

import hashlib
import json
import math
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from teamroom.server.store.postgres.session import Session
from teamroom.server.store.statements import postgres_statements
from teamroom.server.store.transaction import Effects, Spent

LARGEST_BYTES = 7_500
"""PostgreSQL takes messages of up to 8,000 bytes. Instead of a longer one, servers are told to look at everything."""

UNKNOWN_COMMITS = 16
"""How many of its newest commits whose outcome it could not find out a server remembers."""

SETS = ("woken", "ended", "killed", "revoked", "changed", "listening")


class Heard(NamedTuple):
    """A message of a server: the numbers of the log before and after its commit, and what the commit causes."""

    server: str
    before: int
    after: int
    effects: Effects


class News:
    """The channel of one room, as one server speaks and listens there."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.channel = ""
        self._unknown: deque[tuple[int, int]] = deque(maxlen=UNKNOWN_COMMITS)
        """The numbers of the log before and after the commits of this server whose outcome it does not know."""

    def note_unknown(self, before: int, after: int) -> None:
        """Note that nobody knows whether a commit of this server took place. On the writer's thread."""
        self._unknown.append((before, after))

    def is_news(self, heard: Heard) -> bool:
        """Whether this server does not know yet what a message says; that a commit took place is known once it says so.

        Call it once for each message.
        """
        if heard.server != self.server:
            return True
        try:
            self._unknown.remove((heard.before, heard.after))
        except ValueError:
            return False
        return True

    def find_channel(self, session: Session) -> None:
        """Learn the room's channel: several rooms in one database have a schema each."""
        schema = session.execute(postgres_statements()["schema"], {}).fetchall()[0][0]
        self.channel = f"teamroom_{hashlib.sha256(schema.encode()).hexdigest()[:24]}"

    def message(
        self, before: int, after: int, effects: Iterable[Effects], spent: dict[int, Spent]
    ) -> dict[str, str] | None:
        """What to send with a commit, as the parameters of `notify`; None if nobody else needs to know of it."""
        together = merged(effects)
        together.spent = spent
        said = _as_json(together)
        if before == after and not said:
            return None
        sent = {"spent": said["spent"]} if spent else {}
        for form in (said, {"are_lost": True, **sent}, {"are_lost": True}):
            payload = json.dumps([self.server, before, after, form], separators=(",", ":"))
            if len(payload.encode()) <= LARGEST_BYTES:
                break
        return {"channel": self.channel, "payload": payload}

    @staticmethod
    def read(payload: str) -> Heard:
        """Read a message. One that cannot be read says that something was lost."""
        try:
            server, before, after, said = json.loads(payload)
            return Heard(str(server), int(before), int(after), _from_json(said))
        except (ValueError, TypeError, KeyError, AttributeError):
            return Heard("", 0, 0, Effects(are_lost=True))


def merged(effects: Iterable[Effects]) -> Effects:
    """What several acts cause together, except what is written outside the database."""
    found = Effects()
    for one in effects:
        for name in SETS:
            getattr(found, name).update(getattr(one, name))
        found.due = min(found.due, one.due)
        found.letters = found.letters or one.letters
    return found


def _as_json(effects: Effects) -> dict[str, Any]:
    said: dict[str, Any] = {name: sorted(values) for name in SETS if (values := getattr(effects, name))}
    if effects.due < math.inf:
        said["due"] = effects.due
    if effects.letters:
        said["letters"] = True
    if effects.spent:
        said["spent"] = [[member, *spent] for member, spent in effects.spent.items()]
    return said


def _from_json(said: dict[str, Any]) -> Effects:
    effects = Effects(due=said.get("due", math.inf))
    effects.letters, effects.are_lost = bool(said.get("letters")), bool(said.get("are_lost"))
    effects.spent = {member: Spent(*spent) for member, *spent in said.get("spent", ())}
    for name in SETS:
        getattr(effects, name).update(said.get(name, ()))
    return effects
