"""The metrics that are measured whenever they are requested, such as sizes, ages and counts."""

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from teamroom.server.http.connections import Connections
from teamroom.server.store.batches import BATCH_SIZES
from teamroom.server.store.engine import InOneFile, Shared, StorageError, Store
from teamroom.server.store.folder import SEAL
from teamroom.server.store.rows.control import StandingCount
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.overnight import StateCount
from teamroom.server.store.rows.supervisor import SupervisorRow
from teamroom.server.store.transaction import Reading
from teamroom.server.supervisor.servers import LETTERS_DUTY, SEAL_DUTY, Servers
from teamroom.server.wake.bus import Bus
from teamroom.server.wake.push import Push

Values = Iterable[tuple[str, float]]


async def gauges(
    folder: Path, store: Store, servers: Servers, bus: Bus, push: Push, connections: Connections, now: float
) -> list[Metric]:
    """Every metric that is not counted call by call."""
    try:
        stored = await store.read(partial(_stored, servers=servers), is_small=False)
    except StorageError:
        stored = [gauge("teamroom_readable", "Whether the database can be read.", 0)]
    return [*_running(store, bus, push, connections), *_files(folder, store, now), *stored]


def _running(store: Store, bus: Bus, push: Push, connections: Connections) -> Iterator[Metric]:
    yield gauge("teamroom_acts_waiting", "Acts waiting for the writer.", store.waiting)
    yield CounterMetricFamily("teamroom_commits", "Commits since the start.", store.commits)
    yield CounterMetricFamily("teamroom_acts_committed", "Acts in these commits.", store.acts_committed)
    yield _batches(store)
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


def _batches(store: Store) -> Metric:
    """How many acts commits hold, as a histogram: its buckets count all that are not larger."""
    bounds = [*(f"{size}.0" for size in BATCH_SIZES), "+Inf"]
    buckets = list(zip(bounds, itertools.accumulate(store.batch_sizes), strict=True))
    return HistogramMetricFamily("teamroom_batch_acts", "Acts in one commit.", buckets, store.acts_committed)


def _stored(tx: Reading, servers: Servers) -> list[Metric]:
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
        labelled("teamroom_duty", "Whether this server does a duty of the room.", "duty", _duties(tx, servers)),
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


def _duties(tx: Reading, servers: Servers) -> Values:
    """Which duties this server does. It supervises the room until another one does."""
    leads = not servers.is_shared or tx.only(SupervisorRow, "supervisor").holder == servers.name
    return (("supervisor", leads), *((duty, servers.does(duty)) for duty in (LETTERS_DUTY, SEAL_DUTY)))


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
