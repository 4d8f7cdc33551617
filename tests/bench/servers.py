"""Two servers of one room in PostgreSQL against one, same callers: how many posts a second, and where time goes.

python -m tests.bench.servers [ROUNDS]. Sixteen callers post as fast as they are answered, first all through one server,
then half of them through a second one, in turn. CPU is that of the room's servers, and that of the processes with which
PostgreSQL serves them. The wait for the lock is how long transactions of all servers took to begin; a batch is how many
acts one commit held.
"""

import contextlib
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median

import httpx2
import uvloop
from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from tests.bench.costs import CALLERS, ROOT, TEXT, cpu_seconds, served
from tests.bench.database import backends, empty_database
from tests.campaigns.callers import RawCaller, enroll, rate, tool_call
from tests.harness.room import RoomOfProcesses
from tests.support.plain_http import WITHOUT_TLS

ROUNDS, SECONDS, WARM_SECONDS = 5, 2.0, 0.5
COUNTERS = ("teamroom_commits", "teamroom_acts_committed", "teamroom_lock_wait_seconds")

Served = tuple[RoomOfProcesses, int]
"""A server of the room, and its process."""


@dataclass(frozen=True)
class Posts:
    """What posting through some servers came to: posts a second; for each post, ms of CPU and of waiting."""

    per_second: float
    server_cpu: float
    database_cpu: float
    lock_wait: float
    acts_per_commit: float


@contextlib.contextmanager
def two_servers(address: str) -> Iterator[list[Served]]:
    """Two servers of one new room in this database."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        first = stack.enter_context(served(ROOT, folder / "first", "--database", address))
        key = str(first[0].data / "room.key")
        second = stack.enter_context(served(ROOT, folder / "second", "--database", address, "--key-file", key))
        yield [first, second]


def counters(server: RoomOfProcesses, token: str) -> dict[str, float]:
    """The counters of a server, from its metrics."""
    with httpx2.Client(verify=WITHOUT_TLS, headers={"authorization": f"Bearer {token}"}) as http:
        text = http.get(f"{server.url}/metrics").raise_for_status().text
    return {name: float(value) for name, value in re.findall(r"^(\w+?)(?:_total)? ([\d.e+-]+)$", text, re.MULTILINE)}


async def post(servers: Sequence[Served], tokens: Sequence[str], seconds: float) -> float:
    """Let every caller post, each through one of the servers; returns how many posts a second there were."""
    ports = [servers[number % len(servers)][0].port for number in range(CALLERS)]
    callers = [await RawCaller.connect(port) for port in ports]

    def request(caller: int, number: int) -> bytes:
        text = {"text": f"{time.monotonic_ns()} {TEXT}"}
        return tool_call(ports[caller], tokens[caller], "post_message", text)

    try:
        return await rate(callers, request, seconds)
    finally:
        for caller in callers:
            caller.close()


def measure_posts(servers: Sequence[Served], tokens: Sequence[str], owner: str, address: str) -> Posts:
    """What posting through these servers costs."""
    uvloop.run(post(servers, tokens, WARM_SECONDS))
    processes, database = [process for _, process in servers], backends(address)

    def snapshot() -> tuple[float, float, list[float]]:
        found = [counters(server, owner) for server, _ in servers]
        sums = [sum(one[name] for one in found) for name in COUNTERS]
        return sum(map(cpu_seconds, processes)), sum(map(cpu_seconds, database)), sums

    cpu, database_cpu, before = snapshot()
    per_second = uvloop.run(post(servers, tokens, SECONDS))
    cpu_after, database_cpu_after, after = snapshot()
    commits, acts, waited = (new - old for new, old in zip(after, before, strict=True))
    return Posts(
        per_second,
        (cpu_after - cpu) / acts * 1000,
        (database_cpu_after - database_cpu) / acts * 1000,
        waited / acts * 1000,
        acts / commits,
    )


async def enrolled(server: RoomOfProcesses) -> list[str]:
    """The tokens of the callers."""
    first = await RawCaller.connect(server.port)
    tokens = [await enroll(first, server, f"caller{number}") for number in range(CALLERS)]
    first.close()
    return tokens


def measure(rounds: int = ROUNDS) -> dict[int, Posts]:
    """The medians for one server and for two; nothing where there is no PostgreSQL."""
    with empty_database() as address:
        if address is None:
            return {}
        with two_servers(address) as servers:
            tokens = uvloop.run(enrolled(servers[0][0]))
            owner = (servers[0][0].data / "owner.token").read_text().strip()
            found: dict[int, list[Posts]] = {1: [], 2: []}
            for _ in track(range(rounds), "Posting through one server and two", transient=True):
                for count, each in found.items():
                    each.append(measure_posts(servers[:count], tokens, owner, address))
    return {count: middle(each) for count, each in found.items()}


def middle(found: Sequence[Posts]) -> Posts:
    """The median of each figure."""
    return Posts(*(median(getattr(one, field.name) for one in found) for field in fields(Posts)))


def show(found: dict[int, Posts]) -> None:
    """Print and draw both."""
    headings = ("servers", "posts/s", "", "ms of CPU each", "of PostgreSQL", "wait for the lock", "acts a commit")
    table = Table(*headings, box=None)
    most = max(posts.per_second for posts in found.values())
    for count, posts in found.items():
        bar = ProgressBar(total=most, completed=posts.per_second, width=30)
        costs = (f"{value:.2f}" for value in (posts.server_cpu, posts.database_cpu, posts.lock_wait))
        table.add_row(str(count), f"{posts.per_second:,.0f}", bar, *costs, f"{posts.acts_per_commit:.1f}")
    Console().print(table)


def main() -> None:
    """Measure, and draw."""
    found = measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
    if not found:
        sys.exit("no PostgreSQL at TEAMROOM_TEST_DATABASE or 127.0.0.1:5432, and no initdb")
    show(found)


if __name__ == "__main__":
    main()
