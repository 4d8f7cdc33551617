"""What the page costs the server, in a room with ten thousand tasks, a thousand members and a million entries.

python -m tests.bench.page [ROUNDS]. Fills a room of its own, which takes a minute, and serves it in a process. Prints
the CPU time of the home page right after a change, its bytes on the wire, and the rate of `post_message` and its
CPU without and with a hundred open pages, in turn.
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import connect
from statistics import median, quantiles

import httpx2
import psutil
import uvloop
from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from teamroom.resources.page.assets import assets
from tests.campaigns.callers import RawCaller, enroll, rate, tool_call
from tests.harness.room import TEAMROOM, RoomOfProcesses, ServedRoom, free_port, served_room
from tests.support.large_rooms import Size, fill
from tests.support.plain_http import WITHOUT_TLS
from tests.support.rates import LIMITLESS

SIZE = Size(tasks=10_000, messages=500_000, members=1_000)
"""Each message and each task has two entries of the log."""

HOME_MILLISECONDS, SLOWEST_MILLISECONDS, WIRE_BYTES, LEAST_SHARE = 60.0, 200.0, 120_000, 0.9
"""What the home page may cost, half of the time and nearly always; its bytes; and what open pages leave of the rate."""

HOMES, PAGES, CALLERS, ROUNDS = 200, 100, 16, 10
SECONDS, WARM_SECONDS = 1.5, 0.5


class Browser:
    """A person who is signed in."""

    def __init__(self, room: RoomOfProcesses) -> None:
        self.room = room
        self.http = httpx2.Client(verify=WITHOUT_TLS, base_url=room.url, timeout=30.0)
        self._own = {"origin": room.url, "sec-fetch-site": "same-origin"}
        code = room.owner("sign_in")["code"]
        assert self.send("/sign-in", code=code) == 303

    def send(self, path: str, **fields: str) -> int:
        """Send a form of the page; returns the status."""
        return self.http.post(path, data=fields, headers=self._own).status_code

    def wire_bytes(self, path: str) -> int:
        """How many bytes the content of a page or a file takes on the way, as a browser asks for it."""
        with self.http.stream("GET", path, headers={"accept-encoding": "gzip, deflate, br"}) as answer:
            return sum(map(len, answer.raise_for_status().iter_raw()))

    @property
    def cookie(self) -> str:
        """The session as a header."""
        (cookie,) = self.http.cookies.jar
        return f"{cookie.name}={cookie.value}"


def fill_room(served: ServedRoom, size: Size) -> None:
    """Fill the room while nobody serves it, and let a person accept what no member wrote."""
    data = served.room.data
    busy = served.room.enroll("busy")["name"]
    served.process.terminate()
    served.process.wait()
    with closing(connect(data / "room.db", isolation_level=None)) as database:
        (number,) = database.execute("select id from member where name = ?", (busy,)).fetchone()
        fill(data / "room.db", size, number, time.time())
        database.execute("update head set hash = (select hash from log where log.seq = head.seq)")
    accept = [TEAMROOM, "seal", "--accept", "--data", str(data)]
    subprocess.run(accept, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    served.start()


def time_home(browser: Browser, process: psutil.Process) -> tuple[list[float], int]:
    """The CPU time of the home page in milliseconds, each time after a change of every part; and its bytes."""
    found, size = [], 0
    for number in track(range(HOMES), "Opening the home page", transient=True):
        browser.send("/act/create_task", title=f"more {number}", then="/")
        before = sum(process.cpu_times()[:2])
        size = browser.wire_bytes("/")
        found.append((sum(process.cpu_times()[:2]) - before) * 1000)
    return found, size + sum(browser.wire_bytes(path) for path in assets() if not path.endswith(".svg"))


@contextlib.asynccontextmanager
async def open_pages(browser: Browser, count: int) -> AsyncIterator[None]:
    """So many pages follow the room's changes, as long as the block runs."""
    begun = [asyncio.Event() for _ in range(count)]
    request = (
        f"GET /changes HTTP/1.1\r\nhost: {browser.room.url.removeprefix('http://')}\r\n"
        f"cookie: {browser.cookie}\r\naccept: text/event-stream\r\n\r\n"
    ).encode()

    async def follow(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", browser.room.port)
        writer.write(request)
        with contextlib.closing(writer):
            while await reader.read(65_536):
                begun[number].set()

    following = [asyncio.create_task(follow(number)) for number in range(count)]
    try:
        await asyncio.gather(*(opened.wait() for opened in begun))
        yield
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


@dataclass
class Posts:
    """Each round's rate of `post_message`, and the server's CPU for each call in milliseconds."""

    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)


async def time_posts(browser: Browser, server: psutil.Process, rounds: int) -> tuple[Posts, Posts]:
    """What `post_message` costs without open pages and with a hundred, in turn."""
    room = browser.room
    callers = [await RawCaller.connect(room.port) for _ in range(CALLERS)]
    tokens = [await enroll(callers[0], room, f"caller{index}") for index in range(CALLERS)]

    def post(caller: int, number: int) -> bytes:
        return tool_call(room.port, tokens[caller], "post_message", {"text": f"{caller} {number} {time.time()}"})

    found = (Posts(), Posts())
    for _ in track(range(rounds), "Posting without and with open pages", transient=True):
        for count in (0, PAGES):
            async with open_pages(browser, count):
                await rate(callers, post, WARM_SECONDS)
                before = sum(server.cpu_times()[:2])
                made = await rate(callers, post, SECONDS)
                found[bool(count)].rates.append(made)
                found[bool(count)].costs.append((sum(server.cpu_times()[:2]) - before) * 1000 / (made * SECONDS))
    return found


def _taken(shares: list[float]) -> float:
    """What the pages take, in percent: half of the rounds show less."""
    return 100 * (1 - median(shares))


def main() -> None:
    """Fill, serve, time, draw. Exits with 1 when something costs too much."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    environment = {f"TEAMROOM_{name.upper()}": str(value) for name, value in LIMITLESS.items()}
    environment |= {"TEAMROOM_OPEN_CALLS": "1024"}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        served = stack.enter_context(served_room(folder / "room", free_port(), environment))
        Console(stderr=True).print("Filling a room with a million entries (about a minute)")
        fill_room(served, SIZE)
        browser = Browser(served.room)
        server = psutil.Process(served.process.pid)
        homes, size = time_home(browser, server)
        without, with_pages = uvloop.run(time_posts(browser, server, rounds))
    shares = [mine / base for mine, base in zip(with_pages.rates, without.rates, strict=True)]
    cheaper = [base / mine for mine, base in zip(with_pages.costs, without.costs, strict=True)]
    slowest = quantiles(homes, n=100)[98]
    table = Table("the page", "", "", "at most", box=None)
    rows = (
        ("home, CPU, half of the time", median(homes), HOME_MILLISECONDS, "ms"),
        ("home, CPU, p99", slowest, SLOWEST_MILLISECONDS, "ms"),
        ("home with style and script, bytes", float(size), float(WIRE_BYTES), ""),
        (f"taken from the rate of post_message by {PAGES} pages", _taken(shares), 100 * (1 - LEAST_SHARE), "%"),
        ("the same in CPU for each call", _taken(cheaper), 100 * (1 - LEAST_SHARE), "%"),
    )
    for name, value, limit, unit in rows:
        bar = ProgressBar(total=limit, completed=min(max(value, 0.0), limit), width=30)
        table.add_row(name, f"{value:,.1f} {unit}", bar, f"{limit:,.0f} {unit}{'' if value <= limit else '  MISSED'}")
    Console().print(table)
    for words, posts in (("alone", without), (f"with {PAGES} pages open", with_pages)):
        print(f"post_message {words}: {median(posts.rates):,.0f} a second, {median(posts.costs):.2f} ms of CPU each")
    print("shares of the rate:", " ".join(f"{share:.2f}" for share in sorted(shares)))
    print("shares by CPU:", " ".join(f"{share:.2f}" for share in sorted(cheaper)))
    sys.exit(any(value > limit for _, value, limit, _ in rows))


if __name__ == "__main__":
    main()
