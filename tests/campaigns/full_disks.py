"""The disk full under a room, at every kind of act, and no acknowledged act lost (SAF4, LOG4).

Each time a room of its own lies on a small real disk (a tmpfs, where one can be mounted; else a database that may not
grow). Once posts are refused because nothing more fits, every act of the contract is called, in any order: each is
carried out or refused as `storage`, whole either way, and reads go on. Then there is room again: what was refused is
called again under its request id and must succeed. On a real disk, pause, resume, kill and revoke must go on.

The twin answers each act before it is committed.
"""

import contextlib
import gc
import importlib
import logging
import pkgutil
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teamroom.server import acts
from teamroom.server.acts.act import Act
from teamroom.server.acts.members.roster import WHO
from teamroom.server.acts.messages.messages import READ_MESSAGES
from teamroom.server.acts.tasks.board import READ_BOARD
from teamroom.server.app import Room, sqlite_engine
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.rules.local_calls import read_call
from teamroom.server.settings import Settings
from teamroom.server.store import folder as data_folder
from teamroom.server.store.transaction import Writing
from tests.campaigns.campaign import Advance, Outcome, command, over_time, silently
from tests.campaigns.invariants import chain_faults, half_acts, rows
from tests.campaigns.write_behind import write_behind

DISK_MEGABYTES = 12
SPARE_PAGES = 64
"""So many are left free at most, so that disks become full in the middle of an act or of a commit."""

PAGE_BYTES = 4096
RESERVE_BYTES = 2_097_152
POSTS = 2000
"""More posts of 15,000 characters than the disk can hold."""

TWIN_POSTS = 50
"""The twin acknowledges every post, so that it never learns that the disk is full."""

TRIES = 3
"""How often an act is called again once there is room."""

STOPS = ("pause", "resume", "kill", "revoke")
READS = (READ_BOARD, READ_MESSAGES, WHO)


@dataclass(frozen=True, slots=True)
class Call:
    """An act that a member wants."""

    by: str
    act: str
    arguments: dict[str, Any]


CHANNELS = {"olga": ["json://127.0.0.1:9/"]}
"""Where nobody listens: what is written down to be sent is looked at, and not sent here."""

RELEASE = {"tool_name": "Bash", "tool_input": {"command": "make release"}, "cwd": "/archive"}
"""A call of a harness's own tool, which an entry allows."""

CALLS = (
    Call("olga", "enroll", {"name": "newcomer"}),
    Call("olga", "revoke", {"name": "spare"}),
    Call("olga", "pause", {"target": "second", "reason": "the disk is full"}),
    Call("olga", "resume", {"target": "third", "reason": "go on"}),
    Call("olga", "kill", {"target": "fourth", "reason": "it filled the disk"}),
    Call("olga", "set_policy", {"name": "wip_cap", "value": "4"}),
    Call("olga", "redact", {"what": "M-1", "reason": "a secret"}),
    Call("olga", "review_task", {"task": "T-1", "verdict": "accept", "note": "read and run"}),
    Call("olga", "plant", {"capability": "reach the archive", "file": "/archive/proof"}),
    Call("olga", "notify", {"name": "olga"}),
    Call("olga", "sign_in", {}),
    Call("olga", "import_task", {"external": "elsewhere", "title": "sweep the attic", "done": True}),
    Call("olga", "repair", {"name": "builder", "found": "it does not answer"}),
    Call("builder", "post_message", {"text": "is there room?"}),
    Call("builder", "create_task", {"title": "clean up"}),
    Call("builder", "update_task", {"task": "T-2", "fence": 1, "note": "half of it stands"}),
    Call("builder", "complete_task", {"task": "T-3", "fence": 1, "summary": "done", "evidence": []}),
    Call("builder", "request_decision", {"question": "Delete the archive?"}),
    Call("olga", "decide", {"decision": "D-1", "option": "no"}),
    Call("olga", "authorize", {"to": "builder", "scope": "delete:archive", "uses": 1}),
    Call("builder", "check_authorization", {"scope": "read:archive", "use": True}),
    Call("olga", "require_approval", {"to": "builder", "match": "Bash(git push*)"}),
    Call("fifth", "pass_call", {"call": read_call(RELEASE), "harness": "claude"}),
    Call("builder", "hand_off", {"task": "T-4", "fence": 1, "to": "fifth", "note": "please go on"}),
    Call("fifth", "answer_hand_off", {"offer": "O-1", "accept": True}),
    Call("fifth", "claim_task", {"task": "T-6"}),
    Call("fifth", "declare_capabilities", {"capabilities": ["python"]}),
    Call("fifth", "check_in", {}),
    Call("fifth", "heartbeat", {"note": "at it"}),
    Call("builder", "wait_for_wake", {"after": 3}),
)
"""One of each act of the contract, none in the way of another."""


async def campaign(folder: Path, number: int, *, seed: int, twin: bool = False, advance: Advance = silently) -> Outcome:
    """`number` full disks."""
    outcome, dice = Outcome(), random.Random(seed)
    known = every_act()
    if missing := sorted(set(known) - {call.act for call in CALLS}):
        outcome.faults.append(f"acts that are not tried: {missing}")
    template = folder.with_name("template")
    tokens = await _make(template, known)
    went_on: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    acknowledged: list[int] = []
    lost = 0
    logging.disable(logging.CRITICAL)
    try:
        for turn in range(number):
            with _disk(folder.with_name("disk")) as disk:
                shutil.copytree(template, disk.folder / "room")
                one = Turn(disk.folder / "room", disk, tokens, known, dice, twin)
                await one.run()
                went_on.update(one.went_on)
                refused.update(one.refused)
                acknowledged.append(len(one.acknowledged))
                lost += len(one.lost)
                outcome.faults += [f"disk {turn}: {fault}" for fault in (*one.lost, *one.faults)]
                if disk.is_real and not twin:
                    stopped = [name for name in STOPS if one.refused[name]]
                    outcome.faults += [f"disk {turn}: {name} was refused on a full disk" for name in stopped]
            advance()
    finally:
        logging.disable(logging.NOTSET)
    outcome.figures |= {
        "acknowledged acts": sum(acknowledged),
        "of these lost": lost,
        "kinds of acts tried": len({call.act for call in CALLS} & set(known)),
        "carried out on the full disk": dict(went_on.most_common()),
        "refused as storage, and carried out when there was room": dict(refused.most_common()),
        "acknowledged acts over time": over_time(acknowledged),
    }
    return outcome


def every_act() -> dict[str, Any]:
    """Each act of the contract, by name."""
    for module in pkgutil.iter_modules(acts.__path__):
        importlib.import_module(f"{acts.__name__}.{module.name}")
    gc.unfreeze()  # a long-running command that was tested in this process left nothing else to be found
    found = (thing for thing in gc.get_objects() if type(thing) is Act)
    return {act.name: act for act in found if act.run.__module__.startswith("teamroom.")}


# ------------------------------------------------------------------ one room on one disk


class Turn:
    """A room on a disk that fills up, and is freed."""

    def __init__(
        self, folder: Path, disk: "Disk", tokens: dict[str, str], known: dict[str, Any], dice: random.Random, twin: bool
    ) -> None:
        self._folder, self._disk, self._known, self._dice, self._twin = folder, disk, known, dice, twin
        self._tokens = tokens
        self._callers: dict[str, Caller] = {}
        self._room = Room(folder, _settings(twin), choose_engine=write_behind if twin else sqlite_engine)
        self.went_on: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.acknowledged: dict[int, str] = {}
        self.faults: list[str] = []
        self.lost: list[str] = []

    async def run(self) -> None:
        """Fill, act, free, act again, close, and look at what stands."""
        await self._room.open("olga")
        try:
            self._callers = {name: await self._room.door.identify(token) for name, token in self._tokens.items()}
            await self._disk.fill(self._room, self._dice.randrange(SPARE_PAGES))
            await self._until_full()
            order = self._dice.sample(CALLS, len(CALLS))
            again = [call for call in order if not await self._call(call, self.went_on)]
            self.refused.update(call.act for call in again)
            await self._read()
            await self._disk.make_room(self._room)
            for call in again:
                if not any([await self._call(call, None) for _ in range(TRIES)]):
                    self.faults.append(f"{call.act} was refused again when there was room")
        finally:
            await self._room.close()
        entries = {
            row["seq"]: row["act"] for row in rows(self._folder, "select seq, act from log where outcome = 'ok'")
        }
        self.lost = [
            f"{seq} was acknowledged as {act}, there is {entries.get(seq)}"
            for seq, act in self.acknowledged.items()
            if entries.get(seq) != act
        ]
        self.faults += [*chain_faults(self._folder), *half_acts(self._folder)]

    async def _until_full(self) -> None:
        for number in range(TWIN_POSTS if self._twin else POSTS):
            call = Call("filler", "post_message", {"text": f"{number} " + "y" * 15_000})
            if not await self._call(call, None, str(number)):
                return
        if not self._twin:
            self.faults.append("the disk never became full")

    async def _call(self, call: Call, counted: Counter[str] | None, key: str = "") -> bool:
        """Whether the act was carried out; every refusal but `storage` is a fault."""
        act = self._known[call.act]
        try:
            reply = await self._room.door.act(
                self._callers[call.by], act, act.arguments(**call.arguments), f"{call.act} {key}"
            )
        except Refusal as refusal:
            if refusal.code != "storage":
                self.faults.append(f"{call.act} was refused as {refusal.code}: {refusal.why}")
            return False
        if (receipt := getattr(reply, "receipt", None)) is not None:
            self.acknowledged[receipt] = call.act
        if counted is not None:
            counted[call.act] += 1
        return True

    async def _read(self) -> None:
        for read in READS:
            try:
                await self._room.door.read(self._callers["fifth"], read, read.arguments())
            except Refusal as refusal:
                self.faults.append(f"{read.name} was refused on a full disk: {refusal.why}")


def _settings(twin: bool) -> Settings:
    """The twin keeps no reserve: what it answered too early must not fit after all."""
    return Settings(notify=CHANNELS, readers=1, reserve_bytes=0 if twin else RESERVE_BYTES)


async def _make(folder: Path, known: dict[str, Any]) -> dict[str, str]:
    """A room in which each of the calls can be carried out, closed; returns its members' tokens."""
    data_folder.make_private(folder)
    room = Room(folder, Settings(notify=CHANNELS, reserve_bytes=0))
    tokens = {"olga": str(await room.open("olga"))}

    async def call(by: str, act: str, **arguments: Any) -> Any:
        return await room.door.act(await room.door.identify(tokens[by]), known[act], known[act].arguments(**arguments))

    for name in ("builder", "second", "third", "fourth", "fifth", "spare", "filler"):
        tokens[name] = (await call("olga", "enroll", name=name)).token
    tokens["rex"] = (await call("olga", "enroll", name="rex", role="watchdog")).token
    await call("rex", "declare_capabilities", capabilities=["runtime:builder"])
    await call("builder", "post_message", text="something to take away")
    for number in range(1, 7):
        await call("olga", "create_task", title=f"task {number}", review="olga" if number == 1 else "none")
        if number < 6:
            await call("builder", "claim_task", task=f"T-{number}")
        if number == 1:
            await call("builder", "complete_task", task="T-1", fence=1, summary="done", evidence=[])
    await call("builder", "hand_off", task="T-5", fence=1, to="fifth", note="for you")
    await call("builder", "request_decision", question="Archive it?")
    await call("olga", "authorize", to="builder", scope="read:archive")
    await call("olga", "authorize", to="fifth", scope="run:release")
    await call("olga", "require_approval", to="fifth", match="Bash", scope="run:release")
    await call("olga", "pause", target="third", reason="to be resumed")
    await room.close()
    del tokens["spare"]
    return tokens


# ------------------------------------------------------------------ disks


class Disk:
    """A disk that can be filled, and freed. This one is pretended: the database may not grow."""

    is_real = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def fill(self, room: Room, spare_pages: int) -> None:
        """Leave room for so many pages and no more."""
        await self._limit(room, spare_pages)

    async def make_room(self, room: Room) -> None:
        """Take away what filled it."""
        await self._limit(room, 100_000)

    async def _limit(self, room: Room, spare: int) -> None:
        def work(tx: Writing) -> None:
            connection = room.store.committer.connection
            used = connection.execute("pragma page_count").fetchone()[0]
            connection.execute(f"pragma max_page_count = {used + spare}")

        await room.store.write(work, lambda tx, error: None)


class RealDisk(Disk):
    """A tmpfs: the kernel itself says that it is full."""

    is_real = True

    async def fill(self, room: Room, spare_pages: int) -> None:
        """Fill every block, and free so many again."""
        with (self.folder / "ballast").open("ab", buffering=0) as ballast:
            with contextlib.suppress(OSError):
                while ballast.write(bytes(PAGE_BYTES)):
                    pass
            ballast.truncate(max(0, ballast.tell() - spare_pages * PAGE_BYTES))

    async def make_room(self, room: Room) -> None:
        """Take away what filled it."""
        (self.folder / "ballast").unlink()


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[Disk]:
    folder.mkdir()
    options = f"size={DISK_MEGABYTES}m,mode=700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "teamroom-test", str(folder)]
    try:
        is_real = subprocess.run(mount, capture_output=True, timeout=10, check=False).returncode == 0
    except OSError:
        is_real = False
    try:
        yield RealDisk(folder) if is_real else Disk(folder)
    finally:
        if is_real:
            subprocess.run(["umount", str(folder)], timeout=10, check=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    command("full_disks", __doc__, 50, campaign)
