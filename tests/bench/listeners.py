"""A thousand listeners, and one change that all of them follow: how long until all are told, and what it holds up.

    python -m tests.bench.listeners [LISTENERS]

The room is in this process, the listeners in another, which reads them all. Printed are the time from the
call of the act until the last listener was told; the longest gap between two rounds of the room's event loop
meanwhile; and how long one listener of its own inbox waits among all the others. `at once` is the twin: every
listener is told in the same slice.
"""

import asyncio
import gc
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from teamroom.clients.local.up import COLLECTED_EVERY
from teamroom.server.wake import push
from tests.campaigns.campaign import quantile
from tests.support.raw import ENVELOPE, message, modern_headers, posted
from tests.support.rooms import Member, RunningRoom, running_room

PER_MEMBER = 50
CHANGES = 10
URI = "teamroom://stream"


async def listen(port: int, tokens: list[str], uri: str) -> None:
    """The other process: one stream for each token; a line for each time that every stream was told once more."""
    params = {"notifications": {"resourceSubscriptions": [uri]}, "_meta": ENVELOPE}
    headers = modern_headers("subscriptions/listen")
    told = [0] * len(tokens)
    rounds = 0

    async def follow(number: int) -> None:
        nonlocal rounds
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(posted(port, tokens[number], message("subscriptions/listen", params), headers))
        while line := await reader.readline():
            if b"subscriptions/acknowledged" in line or b"resources/updated" in line:
                told[number] += 1
                if told[number] == rounds + 1 and min(told) > rounds:
                    rounds += 1
                    print(rounds, flush=True)
        raise ConnectionError("the room ended the stream")

    await asyncio.gather(*map(follow, range(len(tokens))))


async def longest_gap(until: asyncio.Event) -> float:
    """The longest time, in seconds, that the event loop took for one round."""
    longest = 0.0
    while not until.is_set():
        start = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - start)
    return longest


class Listeners:
    """The other process, as this one sees it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, room: RunningRoom, tokens: list[str], uri: str) -> "Listeners":
        command = [sys.executable, "-m", "tests.bench.listeners", "--listen", str(room.room.settings.port), uri]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(tokens).encode() + b"\n")
        return cls(process)

    async def told(self) -> None:
        """Wait until all were told once more."""
        assert self._process.stdout is not None
        assert await asyncio.wait_for(self._process.stdout.readline(), 60), "the listeners left"

    async def stop(self) -> None:
        self._process.kill()
        await self._process.wait()


async def tell_all(act: Member, text: str, listeners: Listeners) -> tuple[float, float]:
    """One act that all follow: seconds until the last was told, and the longest gap of the loop meanwhile."""
    done = asyncio.Event()
    gap = asyncio.create_task(longest_gap(done))
    start = time.perf_counter()
    await act("post_message", text=text)
    await listeners.told()
    took = time.perf_counter() - start
    done.set()
    return took, await gap


async def measure(folder: Path, count: int) -> None:
    async with running_room(folder, push_seconds=0, listeners=count + 10) as room:
        names = [f"agent-{number}" for number in range(-(-count // PER_MEMBER))]
        await room.enroll(*names, "lonely")
        olga = await room.owner()
        tokens = [room.tokens[names[number // PER_MEMBER]] for number in range(count)]
        listeners = await Listeners.start(room, tokens, URI)
        await listeners.told()
        for label, turns in (("in slices", push.TURNS_AT_ONCE), ("at once", count)):
            with patch.object(push, "TURNS_AT_ONCE", turns):
                found = [await tell_all(olga, f"{label} {number}", listeners) for number in range(CHANGES)]
            took, gaps = zip(*found, strict=True)
            print(
                f"{count} listeners {label}: all told after {quantile(list(took), 0.5) * 1000:.0f} ms (median), "
                f"the event loop held up for {quantile(list(gaps), 0.5) * 1000:.1f} ms at most (median), "
                f"{max(gaps) * 1000:.1f} ms (worst)"
            )
        await listeners.stop()
        await one_of(room, olga, tokens)


async def one_of(room: RunningRoom, olga: Member, tokens: list[str]) -> None:
    """One wake among listeners of other inboxes."""
    others = await Listeners.start(room, tokens, "teamroom://inbox")
    await others.told()
    lonely = await Listeners.start(room, [room.tokens["lonely"]], "teamroom://inbox")
    await lonely.told()
    acts, waits = [], []
    for number in range(10 * CHANGES):
        start = time.perf_counter()
        await olga("post_message", text=f"@lonely {number}")
        acts.append(time.perf_counter() - start)
        await lonely.told()
        waits.append(time.perf_counter() - start)
    print(
        f"one of {len(tokens)} is told {quantile(waits, 0.5) * 1000:.2f} ms after the act was called, "
        f"which was answered after {quantile(acts, 0.5) * 1000:.2f} ms (medians)"
    )
    await lonely.stop()
    await others.stop()


def main() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    if sys.argv[1:2] == ["--listen"]:
        asyncio.run(listen(int(sys.argv[2]), json.loads(sys.stdin.readline()), sys.argv[3]))
        return
    gc.set_threshold(*COLLECTED_EVERY)  # as `teamroom up` does
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder) / "room", int(sys.argv[1]) if len(sys.argv) > 1 else 1000))


if __name__ == "__main__":
    main()
