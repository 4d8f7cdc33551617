"""The counters and timers of the room, for Prometheus. Labels are fixed names and codes, never members."""

from collections.abc import Awaitable, Callable, Iterable
from itertools import chain

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

Look = Callable[[], Awaitable[Iterable[Metric]]]
"""Looks up the metrics that are not counted call by call."""

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 50.0)
"""Upper bounds of the buckets that calls are sorted into."""


class Metrics:
    """The metrics of one room."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._calls = Counter(
            "teamroom_calls", "Acts and reads by outcome.", ("kind", "name", "outcome"), registry=self._registry
        )
        self._seconds = Histogram(
            "teamroom_call_seconds",
            "Time from receiving a call to its reply, in seconds.",
            ("kind", "name"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._rejected = Counter(
            "teamroom_turned_away",
            "Requests rejected before they reached an act, by status and code.",
            ("status", "code"),
            registry=self._registry,
        )
        self._duties = Counter(
            "teamroom_duties",
            "Supervisor duties by rule and outcome.",
            ("rule", "outcome"),
            registry=self._registry,
        )
        self._deliveries = Counter(
            "teamroom_deliveries",
            "Letters to people outside the room, by outcome.",
            ("outcome",),
            registry=self._registry,
        )
        self._faults = Counter("teamroom_faults", "Internal faults.", registry=self._registry)
        self._known: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._looks: list[Look] = []

    def call(self, kind: str, name: str, outcome: str, seconds: float) -> None:
        """Count an act or a read, and time it: `ok`, `replayed`, a refusal's code, `fault`, or `left` by its caller."""
        known = self._known.get((kind, name, outcome))
        if known is None:
            known = self._calls.labels(kind, name, outcome), self._seconds.labels(kind, name)
            self._known[kind, name, outcome] = known
        known[0].inc()
        known[1].observe(seconds)

    def count_rejected(self, status: int, code: str) -> None:
        """Count a request that the gate refused."""
        self._rejected.labels(str(status), code).inc()

    def duty(self, rule: str, outcome: str) -> None:
        """Count a duty of the supervisor: `done`, `dropped` because it changed meanwhile, or `failed`."""
        self._duties.labels(rule, outcome).inc()

    def delivery(self, outcome: str) -> None:
        """Count a try of a letter: `delivered`, `retried` later, or `failed` for good."""
        self._deliveries.labels(outcome).inc()

    def fault(self) -> None:
        """Count a fault of the server."""
        self._faults.inc()

    def measure(self, look: Look) -> None:
        """Add metrics that are looked up whenever the metrics are requested."""
        self._looks.append(look)

    async def text(self) -> bytes:
        """All metrics, in Prometheus's text format."""
        found = [metric for look in self._looks for metric in await look()]
        return generate_latest(_Together(self._registry, found))


class _Together(Collector):
    """What was counted, then what was looked up."""

    def __init__(self, counted: Collector, found: Iterable[Metric]) -> None:
        self._counted, self._found = counted, found

    def collect(self) -> Iterable[Metric]:
        """Every metric once."""
        return chain(self._counted.collect(), self._found)
