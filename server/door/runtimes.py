"""Where members' runtimes run: noted from their calls, written later by the supervisor.

A call costs a look into a dictionary. A runtime is written when it says something new, and else every few minutes.
What a crash loses, the next call reports again.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from teamroom.server.acts.presence.two_hosts import tell_of_two_hosts
from teamroom.server.clock import Clock
from teamroom.server.facts.member import member_changed
from teamroom.server.facts.runtimes import RUNTIMES_KEPT, hide_again, row_of, runtimes_of
from teamroom.server.identity import Caller
from teamroom.server.rules.runtimes import CLIENT, Whereabouts, merge, read_client, read_whereabouts
from teamroom.server.store.transaction import Writing

WRITTEN_SECONDS = 300.0
"""How often a runtime that says nothing new is written."""

RUNTIMES_KNOWN = 10_000
"""Of how many runtimes the room remembers what it wrote last."""

Key = tuple[int, str]
"""A member and a host."""


class Runtimes:
    """The runtimes that are not written yet, and when each was written last."""

    def __init__(self, clock: Clock, write_seconds: float) -> None:
        """`write_seconds`: how soon a report is written."""
        self._clock, self._write_seconds = clock, write_seconds
        self._lock = threading.Lock()
        """The room's own socket is served by another thread."""
        self._unwritten: dict[int, dict[str, tuple[Whereabouts, float]]] = {}
        """By member and host: at most as many hosts of a member as are kept."""
        self._written: OrderedDict[Key, tuple[Whereabouts, float]] = OrderedDict()

    def hear(self, caller: Caller, meta: Any, client: Any, on_due: Callable[[float], object]) -> None:
        """Note what an agent's call says of its runtime. `client`: how the client introduced itself, as data.

        `on_due` gets the time at which the reports are to be written.
        """
        if caller.kind != "agent":
            return
        said = read_whereabouts(meta)
        if said is None:
            given = meta.get(CLIENT) if isinstance(meta, dict) else None
            said = read_client(given or client)
        if said is None:
            return
        now = self._clock()
        with self._lock:
            is_first = self._note((caller.member, said.host), said, now)
        if is_first:
            on_due(now + self._write_seconds)

    def _note(self, key: Key, said: Whereabouts, now: float) -> bool:
        """Note a report if it is to be written; returns whether it is the first one."""
        before = self._written.get(key)
        if before is not None and before[0] == said and 0 <= now - before[1] < WRITTEN_SECONDS:
            return False
        waiting = self._unwritten.setdefault(key[0], {})
        if len(waiting) >= RUNTIMES_KEPT and key[1] not in waiting:
            return False
        self._written[key] = said, now
        self._written.move_to_end(key)
        if len(self._written) > RUNTIMES_KNOWN:
            self._written.popitem(last=False)
        waiting[key[1]] = said, now
        return len(self._unwritten) == 1 and len(waiting) == 1

    def take(self) -> Mapping[int, Sequence[tuple[Whereabouts, float]]]:
        """The reports that are not written yet, by member; from now on, they count as written."""
        with self._lock:
            taken, self._unwritten = self._unwritten, {}
        return {member: list(reports.values()) for member, reports in taken.items()}


def write_runtimes(tx: Writing, reports: Mapping[int, Sequence[tuple[Whereabouts, float]]]) -> None:
    """Write where members run. The owner of one that runs on two hosts at once is told."""
    for member, said in reports.items():
        _write(tx, member, said)
        tell_of_two_hosts(tx, member)


def _write(tx: Writing, member: int, said: Sequence[tuple[Whereabouts, float]]) -> None:
    known = {one.where.host: one for one in runtimes_of(tx, member)}
    before = dict(known)
    for heard, at in sorted(said, key=lambda report: (not report[0].host, report[1])):
        where = hide_again(heard, before.values())
        if not where.host and any(host and one.is_alive(at) for host, one in known.items()):
            continue  # the runtime behind this client says more of itself
        known[where.host] = merge(known.get(where.host), where, at)
    newest = sorted(known.values(), key=lambda one: -one.seen_at)
    has_host = any(one.where.host and one.is_alive(tx.now) for one in newest)
    kept = [one for one in newest if one.where.host or not has_host][:RUNTIMES_KEPT]
    for one in kept:
        if before.get(one.where.host) != one:
            tx.run("note_runtime", **row_of(member, one))
    for host in set(before) - {one.where.host for one in kept}:
        tx.run("forget_runtime", member=member, host=host)
    shown = [(one.where, one.is_alive(tx.now)) for one in kept]
    if shown != [(one.where, one.is_alive(tx.now)) for one in before.values()]:
        member_changed(tx, member)
