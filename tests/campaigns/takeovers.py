"""A server that is killed while it does the room's duties, again and again: the other one takes them over (REM1).

Both are processes of their own. The one that supervises the room, sends its letters and seals its log gets SIGKILL. At
the same moment the room is paused for a second through the other one, so that a duty of the supervisor is due: that
must be done, the leases must have another holder, and the other folder must get a seal, all within five seconds. Then
the killed one is started again, and it is the other one's turn.

The twin's servers hold their leases for a minute.
"""

import asyncio
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from teamroom.server.supervisor.servers import LEASE_SECONDS
from tests.campaigns.campaign import Advance, Outcome, command, quantile, silently
from tests.campaigns.invariants import chain_faults, rows
from tests.campaigns.load import Caller
from tests.campaigns.process import Server, serving
from tests.support.postgres import address_of, is_in_database, keep_in_database
from tests.support.stopwatch import Stopwatch

TAKEN_OVER_SECONDS = 5.0
GIVEN_UP_SECONDS = 12.0
AGAIN_SECONDS = 0.05
SETTLE_SECONDS = 2.0
"""At most this long two servers run between two kills, at random."""

PAUSE_SECONDS = 1
TRIES = 20

DUE = "select rule from due where rule = 'resumed'"
DUTIES = "select duty, holder from lease union all select 'supervisor', holder from supervisor"


async def campaign(
    folder: Path,
    number: int,
    *,
    seed: int,
    twin: bool = False,
    advance: Advance = silently,
    more_seconds: float = 0.0,
) -> Outcome:
    """`number` kills; `more_seconds`: how much longer than promised a duty may wait on a busy machine."""
    dice, times = random.Random(seed), dict[str, list[float]]()
    if not is_in_database(folder):
        keep_in_database(folder)
    second = folder.with_name("second")
    keep_in_database(second, address_of(folder))
    key = {"key_file": folder.with_name("copied.key")}
    fault = "tests.campaigns.long_leases" if twin else None
    with serving(folder, fault) as one, serving(second, fault, **key) as other:
        await one.start()
        token = one.owner_token
        shutil.copyfile(folder / "room.key", key["key_file"])
        await _pause(Caller("olga", one.port, token))
        await _until(lambda: _holders(folder) == {f":{one.port}/"})
        await other.start()
        victim, survivor = one, other
        for _ in range(number):
            await asyncio.sleep(dice.uniform(0, SETTLE_SECONDS))
            for what, took in (await _kill(folder, victim, survivor, Caller("olga", survivor.port, token))).items():
                times.setdefault(what, []).append(took)
            await victim.start()
            victim, survivor = survivor, victim
            advance()
    faults = [
        f"{what} after {took:.1f} s"
        for what, taken in times.items()
        for took in taken
        if took > TAKEN_OVER_SECONDS + more_seconds
    ]
    figures: dict[str, Any] = {
        what: f"median {quantile(taken, 0.5):.2f} s, worst {max(taken):.2f} s" for what, taken in times.items()
    }
    return Outcome({"kills": number, **figures}, faults + chain_faults(folder))


async def _kill(folder: Path, victim: Server, survivor: Server, owner: Caller) -> dict[str, float]:
    """Kill the server that does the duties; returns how long the other one needs to take each over."""
    assert survivor.process is not None
    await _lead(folder, victim, owner)
    seal = survivor.folder / "seal.json"
    sealed = seal.stat().st_mtime if seal.exists() else 0.0
    stopwatch = Stopwatch(survivor.process.pid)
    victim.kill()
    await _pause(owner)
    duties: dict[str, Callable[[], bool]] = {
        "its duty was done": lambda: not rows(folder, DUE),
        "its leases had another holder": lambda: _holders(folder) == {f":{survivor.port}/"},
        "the log was sealed": lambda: seal.exists() and seal.stat().st_mtime > sealed,
    }
    times = await asyncio.gather(*(_timed(is_done, stopwatch) for is_done in duties.values()))
    return dict(zip(duties, times, strict=True))


async def _lead(folder: Path, victim: Server, owner: Caller) -> None:
    """Let the server to be killed do every duty, with leases that are fresh: it is chance which one supervises next."""
    for _ in range(TRIES):
        await _pause(owner)
        await _until(lambda: not rows(folder, DUE))
        if _holders(folder) == {f":{victim.port}/"}:
            return
        await asyncio.sleep(LEASE_SECONDS)
    raise AssertionError(f"the server to be killed should do every duty; they are done by {_holders(folder)}")


async def _pause(owner: Caller) -> None:
    """Pause the room for a moment, which the supervisor ends."""
    await owner.carried_out("pause", target="room", reason="look", for_seconds=PAUSE_SECONDS)
    owner.hang_up()


def _holders(folder: Path) -> set[str]:
    """The servers that do a duty, by the ends of their names: the port."""
    names = [row["holder"] for row in rows(folder, DUTIES)]
    return {f":{name.rpartition(':')[2].partition('/')[0]}/" for name in names}


async def _timed(is_done: Callable[[], bool], stopwatch: Stopwatch) -> float:
    return stopwatch.seconds if await _until(is_done) else GIVEN_UP_SECONDS


async def _until(is_so: Callable[[], bool]) -> bool:
    """Wait until something is so; returns whether it was before it is given up."""
    try:
        async with asyncio.timeout(GIVEN_UP_SECONDS):
            while not await asyncio.to_thread(is_so):  # noqa: ASYNC110
                await asyncio.sleep(AGAIN_SECONDS)
    except TimeoutError:
        return False
    return True


if __name__ == "__main__":
    command("takeovers", (__doc__ or "").partition("\n")[0], 10, campaign)
