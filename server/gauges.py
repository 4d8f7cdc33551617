"""The metrics that are measured whenever they are requested, such as sizes, ages and counts."""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from teamroom.server.http.connections import Connections
from teamroom.server.store.engine import InOneFile, Shared, StorageError, Store
from teamroom.server.store.folder import SEAL
from teamroom.server.store.rows.control import StandingCount
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.overnight import StateCount
from teamroom.server.store.transaction import Reading
from teamroom.server.wake.bus import Bus
from teamroom.server.wake.push import Push

Values = Iterable[tuple[str, float]]


async def gauges(
    folder: Path, store: Store, bus: Bus, push: Push, connections: Connections, now: float
) -> list[Metric]:
    """Every metric that is not counted call by call."""
    try:
        stored = await store.read(_stored, is_small=False)
    except StorageError:
        stored = [gauge("teamroom_readable", "Whether the database can be read.", 0)]
    return [*_running(store, bus, push, connections), *_files(folder, store, now), *stored]


def _running(store: Store, bus: Bus, push: Push, connections: Connections) -> Iterator[Metric]:
    yield gauge("teamroom_acts_waiting", "Acts waiting for the writer.", store.waiting)
    yield CounterMetricFamily("teamroom_commits", "Commits since the start.", store.commits)
    yield CounterMetricFamily("teamroom_acts_committed", "Acts in these commits.", store.acts_committed)
    yield CounterMetricFamily("teamroom_lock_wait_seconds", "Waits for the room's one lock.", store.lock_seconds)
    lost, is_cut_off = (store.lost_messages, store.is_cut_off) if isinstance(store, Shared) else (0, False)
    yield CounterMetricFamily("teamroom_nudges_lost", "Lost messages of other servers.", lost)
    yield gauge("teamroom_cut_off", "Whether the database does not answer.", is_cut_off)
    yield gauge("teamroom_calls_waiting", "Calls waiting for a wake.", bus.waiting_calls)
    yield gauge("teamroom_listeners", "Streams and sessions that receive pushes.", push.count)
    yield gauge("teamroom_connections", "Open connections.", len(connections.open))
    yield gauge("teamroom_strangers", "Open connections without a valid token.", connections.strangers)
    yield gauge("teamroom_requests", "Requests in progress, including streams.", connections.answering_now)
    yield gauge("teamroom_loop_tasks", "Tasks of the server's event loop.", len(asyncio.all_tasks()))
    yield CounterMetricFamily(
        "teamroom_clients_cut", "Clients disconnected because they read nothing.", connections.cut
    )
    yield CounterMetricFamily(
        "teamroom_connections_displaced", "Idle connections closed to make room for others.", connections.displaced
    )


def _files(folder: Path, store: Store, now: float) -> Iterator[Metric]:
    if isinstance(store, InOneFile):
        yield gauge("teamroom_database_bytes", "Size of the database.", _size(store.path))
        yield gauge("teamroom_wal_bytes", "Size of the database's write-ahead log.", _size(store.log_path))
    yield gauge(
        "teamroom_seal_age_seconds", "Seconds since the log was last sealed.", max(now - _changed(folder / SEAL), 0)
    )


def _stored(tx: Reading) -> list[Metric]:
    head = tx.only(ReadHead, "read_head")
    return [
        gauge("teamroom_readable", "Whether the database can be read.", 1),
        gauge("teamroom_log_entries", "The number of the last entry of the log.", head.seq),
        gauge("teamroom_epoch", "The room's epoch: 1, plus 1 for each restore.", head.epoch),
        gauge(
            "teamroom_supervisor_lag_seconds",
            "Seconds since the oldest duty that waits became due.",
            max(tx.now - (tx.value(float, "next_due") or tx.now), 0),
        ),
        gauge("teamroom_notices_held", "Notices that are not in a letter yet.", tx.number("count_notices_held")),
        gauge("teamroom_deliveries_waiting", "Deliveries still pending.", tx.number("count_deliveries")),
        labelled(
            "teamroom_members",
            "Members by their own standing.",
            "standing",
            tx.all(StandingCount, "members_by_standing"),
        ),
        labelled("teamroom_tasks", "Tasks by state.", "state", tx.all(StateCount, "tasks_by_state")),
    ]


def gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    """One number."""
    return GaugeMetricFamily(name, about, value)


def labelled(name: str, about: str, label: str, values: Values) -> GaugeMetricFamily:
    """One number for each value of a label."""
    family = GaugeMetricFamily(name, about, labels=(label,))
    for value, number in values:
        family.add_metric((value,), number)
    return family


def _size(path: Path) -> float:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0
