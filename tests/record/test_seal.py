"""The seal grows only from what it sealed, and a reader needs no secret to check it (LOG3, LOG6)."""

import hashlib
import hmac
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from teamroom.clients.local.verify import verified
from teamroom.server import accept as accepting
from teamroom.server.app import Room
from teamroom.server.record import journal
from teamroom.server.record.backups import BACKUPS, backups
from teamroom.server.record.keys import PublicKey, find_key
from teamroom.server.record.seal import HISTORY, NEXT, read_seals
from teamroom.server.record.sealed import Seal, is_genuine
from teamroom.server.settings import Settings
from teamroom.server.store.folder import DATABASE, KEY, OWNER_TOKEN, SEAL, make_private
from tests.campaigns.forgeries import RESUMED, chain_again, opened
from tests.support.databases import lay_down
from tests.support.promises import promise
from tests.support.room_in_thread import logged
from tests.support.rooms import RunningRoom, Time, running_room
from tests.support.shells import Done, Shell
from tests.support.strides import stride

pytestmark = promise("LOG3")


def shell(folder: Path, *words: str) -> Done:
    return Shell(folder.parent).now(*words, "--data", str(folder))


async def a_room(folder: Path, *, kills: bool = True, **settings: Any) -> str:
    """Leave a room with a killed member, and with a few entries; returns its owner's token."""
    async with running_room(folder, **settings) as room:
        owner = await room.owner()
        await room.enroll("builder", "evil")
        if kills:
            await owner("kill", target="evil", reason="it stole")
        for number in range(4):
            await owner("post_message", text=f"message {number}")
        return room.owner_token


def forge(folder: Path) -> None:
    """Make a kill a resume, and the chain fit again."""
    outside(folder, *RESUMED, chained=True)


def outside(folder: Path, *statements: str, chained: bool = False) -> None:
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as database:
        database.row_factory = sqlite3.Row
        for statement in statements:
            database.execute(statement)
        if chained:
            chain_again(database)


# ------------------------------------------------------------------ the seal of a new room


async def test_the_first_seal_is_there_before_the_first_entry_is_acknowledged(tmp_path: Path) -> None:
    make_private(tmp_path / "room")
    room = Room(tmp_path / "room", Settings(readers=1))
    await room.open("olga")
    image = shutil.copytree(tmp_path / "room", tmp_path / "image")
    await room.close()
    seal = read_seals(image).seal
    assert seal is not None
    assert (seal.seq, is_genuine(find_key(image), seal)) == (2, True)
    assert verified(image, seal_wait_seconds=0).good


def dies_at(step: int, work: Callable[[], object]) -> bool:
    """Do something in a process that ends without a word at the n-th touch of a file; whether it did."""
    child = os.fork()
    if child == 0:
        touched = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal touched
            if event in ("open", "os.rename", "os.remove", "os.truncate", "sqlite3.connect"):
                touched += 1
                if touched == step:
                    os._exit(9)

        sys.addaudithook(hook)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


STEPS = 400
"""More touches of files than anything here makes."""

STRIDE = stride(3)
"""At each this many touches, a process dies; in `make faults` at each."""


async def test_a_first_start_that_dies_anywhere_leaves_a_room_that_opens(tmp_path: Path) -> None:
    def start(folder: Path) -> None:
        async def run() -> None:
            await Room(folder, Settings(readers=1)).open("olga")

        anyio.run(run)

    prepared = 0
    for step in range(1, STEPS, STRIDE):
        folder = tmp_path / f"{step}"
        make_private(folder)
        lay_down(folder)  # deaths in its migrations have tests of their own
        died = dies_at(step, lambda folder=folder: start(folder))  # type: ignore[misc]
        prepared += (folder / NEXT).exists()
        async with opened(folder) as room:
            assert room.store.damage is None, step
            await room.door.identify((folder / OWNER_TOKEN).read_text().strip())
        assert verified(folder, seal_wait_seconds=0).good, step
        assert not (folder / NEXT).exists()
        if not died:
            break
    assert not died, "the start takes more steps than were tried"
    assert prepared, "no death fell between the seal and its room"


# ------------------------------------------------------------------ a seal that lags, and the history


async def test_a_seal_that_lags_behind_is_normal(tmp_path: Path) -> None:
    folder, image = tmp_path / "room", tmp_path / "image"
    async with running_room(folder, seal_seconds=60) as room:
        owner = await room.owner()
        for number in range(20):
            await owner("post_message", text=f"message {number}")
        shutil.copytree(folder, image)  # as a kill leaves it
    seal = read_seals(image).seal
    assert seal is not None
    async with running_room(image) as room:
        assert room.room.store.damage is None
        assert seal.seq < room.entries()[-1]["seq"]
        await (await room.owner())("post_message", text="it goes on")
    assert verified(image).good


async def test_a_seal_that_was_replaced_by_an_earlier_one_lags_behind_too(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    await a_room(folder)
    earlier = (folder / SEAL).read_text()
    async with opened(folder):
        pass
    (folder / SEAL).write_text(earlier)
    async with opened(folder) as room:
        assert room.store.damage is None


async def test_the_history_grows_by_a_line_an_hour_and_one_at_each_stop(tmp_path: Path) -> None:
    folder, time = tmp_path / "room", Time()
    sizes = []
    async with running_room(folder, time=time, seal_seconds=60) as room:
        owner = await room.owner()
        for _ in range(3):
            for minute in range(6):
                await owner("post_message", text=f"{minute}")
                room.room.seal()
                sizes.append((folder / HISTORY).read_bytes())
                time.forward(600)
    for earlier, later in pairwise(sizes):
        assert later.startswith(earlier), "the history only grows"
    assert [len(size.splitlines()) for size in sizes[::6]] == [1, 2, 3]
    assert len(set(sizes)) == 3
    for lines in (4, 5):
        assert len((folder / HISTORY).read_bytes().splitlines()) == lines
        async with opened(folder) as again:
            pass
        await again.close()


async def test_a_line_that_a_crash_cut_off_does_not_count_and_the_next_takes_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    await a_room(folder)
    whole = (folder / HISTORY).read_bytes()
    (folder / HISTORY).write_bytes(whole + whole[:40])
    assert verified(folder).good
    async with opened(folder) as room:
        assert room.store.damage is None
    assert (folder / HISTORY).read_bytes().startswith(whole)
    assert verified(folder).good


async def test_a_history_that_cannot_be_written_does_not_stop_the_seal(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    async with running_room(folder, seal_seconds=60) as room:
        owner = await room.owner()
        whole = (folder / HISTORY).read_bytes()
        (folder / HISTORY).unlink()
        (folder / HISTORY).mkdir()
        receipt = (await owner("post_message", text="x"))["receipt"]
        room.time.forward(3601)
        with logged():
            room.room.seal()
        seal = json.loads((folder / SEAL).read_text())
        assert seal["seq"] == receipt
        (folder / HISTORY).rmdir()
        (folder / HISTORY).write_bytes(whole)
    assert verified(folder).good


# ------------------------------------------------------------------ while the room runs


async def test_a_log_that_is_forged_while_the_room_is_open_is_never_sealed(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    await a_room(folder)
    async with running_room(folder, seal_seconds=60) as room:
        owner = await room.owner()
        await owner("post_message", text="before")
        room.room.seal()
        forge(folder)
        with logged():
            refused = await owner.refused("post_message", text="an ordinary act")
        assert refused["code"] == "storage"
        assert "changed behind the server's back" in refused["why"]
        assert "teamroom seal --accept" in refused["fix"]
        assert (await owner("who"))["members"], "it is read all the same"
        assert (await room.raw("GET", "/readyz")).status_code == 503
        room.room.seal()
    found = verified(folder)
    assert (found.good, "it differs from the seal" in found.why) == (False, True)
    async with running_room(folder) as room:
        assert "the log was rewritten" in str(room.room.store.damage)
        assert (await (await room.owner()).refused("post_message", text="no"))["code"] == "storage"
    assert not verified(folder).good


async def test_what_was_forged_and_put_back_is_named_by_every_later_check(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    await a_room(folder)
    kept = shutil.copytree(folder, tmp_path / "kept")
    forge(folder)
    for _ in range(2):
        async with opened(folder) as room:
            assert room.store.damage is not None
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (folder / name).unlink(missing_ok=True)
    shutil.copyfile(kept / DATABASE, folder / DATABASE)
    async with opened(folder) as room:
        assert room.store.damage is None
    done = shell(folder, "verify")
    assert done.code == 0
    assert done.out.count("NOTE: found at ") == 1
    assert "the log was rewritten" in done.out
    assert "the log was rewritten" in shell(folder, "backup").out
    assert backups(folder / BACKUPS)[0].named


# ------------------------------------------------------------------ a person accepts it


async def test_a_forged_room_is_read_only_until_a_person_accepts_it_and_stays_named(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    token = await a_room(folder)
    forge(folder)
    assert shell(folder, "seal").code == 1
    assert "the log was rewritten" in shell(folder, "seal").out
    async with running_room(folder) as room:
        running = await Shell(tmp_path).here("seal", "--accept", "--data", str(folder))
        assert (running.code, "Another server has the room" in running.err) == (1, True)
        assert "the log was rewritten" in str(room.room.store.damage)
    assert "teamroom backup" not in shell(folder, "backup").out
    assert shell(folder, "backup").code == 1
    done = shell(folder, "seal", "--accept")
    assert done.code == 0, done.err
    assert "Accepted: entry " in done.out
    async with running_room(folder) as room:
        assert room.room.store.damage is None
        owner = await room.connect("olga", token)
        await owner("post_message", text="it goes on")
        (entry,) = [e for e in room.entries() if e["act"] == "accept"]
        assert "the log was rewritten" in json.loads(entry["detail"])["what"]
        assert entry["epoch"] == 2, "what the lost entries handed out is void"
    for word in ("verify", "backup"):
        named = shell(folder, word)
        assert named.code == 0, named.out
        assert "NOTE: accepted at " in named.out
        assert "the log was rewritten" in named.out
    assert "was another one when it was sealed" in shell(folder, "verify").out
    assert shell(folder, "verify", "--json").json["named"]
    again = shell(folder, "seal", "--accept")
    assert (again.code, "nothing to accept" in again.err) == (1, True)
    assert shell(folder, "seal").code == 0


async def test_what_is_forged_after_an_acceptance_is_found_like_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    await a_room(folder)
    forge(folder)
    assert shell(folder, "seal", "--accept").code == 0
    outside(folder, "update log set summary = 'nothing' where act = 'accept'", chained=True)
    assert not verified(folder).good
    async with opened(folder) as room:
        assert room.store.damage is not None


@pytest.mark.parametrize("gone", [(SEAL,), (KEY,), (HISTORY,), (SEAL, HISTORY), (SEAL, HISTORY, KEY)], ids=str)
async def test_a_room_without_its_seal_or_key_is_accepted_in_its_own_epoch(
    tmp_path: Path, gone: tuple[str, ...]
) -> None:
    folder = tmp_path / "room"
    await a_room(folder)
    for name in gone:
        (folder / name).unlink()
    async with running_room(folder) as room:
        assert room.room.store.damage is not None
        assert not [name for name in gone if (folder / name).exists()], "a room that is only read makes no key"
    assert shell(folder, "seal", "--accept", "--json").json["epoch"] == 1
    async with opened(folder) as room:
        assert room.store.damage is None
    found = verified(folder)
    assert found.good, found.why
    assert found.verification.named


async def test_an_entry_that_was_removed_is_accepted_and_named_by_its_number(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    await a_room(folder)
    outside(folder, "delete from log where seq = (select max(seq) from log)")
    assert shell(folder, "seal", "--accept").code == 0
    found = verified(folder)
    assert found.good, found.why
    assert any("is missing" in line for line in found.verification.named)
    async with opened(folder) as room:
        assert room.store.damage is None


async def test_a_database_that_is_damaged_itself_is_not_accepted(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    await a_room(folder)
    (folder / DATABASE).write_bytes(b"no database at all" * 300)
    done = shell(folder, "seal", "--accept")
    assert (done.code, "cannot be accepted" in done.err) == (1, True)
    assert "teamroom restore" in done.err


async def test_an_acceptance_that_dies_anywhere_is_made_or_not_and_is_never_unnamed(tmp_path: Path) -> None:
    template = tmp_path / "room"
    await a_room(template)
    forge(template)
    outcomes = set()
    for step in range(1, STEPS, STRIDE):
        folder = shutil.copytree(template, tmp_path / f"{step}")
        died = dies_at(step, lambda folder=folder: accepting.accept(folder, 1_795_000_000.0, Settings()))  # type: ignore[misc]
        async with opened(folder) as room:
            accepted = room.store.damage is None
        outcomes.add(accepted)
        found = verified(folder, seal_wait_seconds=0)
        assert found.good == accepted, (step, found.why)
        assert found.verification.named or not accepted, step
        if not died:
            break
    assert not died, "it takes more steps than were tried"
    assert outcomes == {True, False}


# ------------------------------------------------------------------ a room of an earlier release


def of_earlier_release(folder: Path) -> None:
    """Make a room what the release before would have left: an HMAC for a seal, and no history."""
    seals, key = read_seals(folder), find_key(folder)
    assert seals.seal is not None
    assert key is not None
    old = seals.seal
    message = json.dumps([old.epoch, old.seq, old.hash, old.at]).encode()
    signature = hmac.new(key.secret, message, hashlib.sha256).hexdigest()
    values = {"epoch": old.epoch, "seq": old.seq, "hash": old.hash, "at": old.at, "signature": signature}
    (folder / SEAL).write_text(json.dumps(values))
    (folder / HISTORY).unlink()
    outside(folder, "delete from migration where number = 16")


async def test_a_room_of_the_previous_release_opens_as_it_did_and_its_history_begins(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    token = await a_room(folder)
    of_earlier_release(folder)
    assert shell(folder, "verify").code == 0
    secret = (folder / KEY).read_text()
    with logged():
        async with running_room(folder) as room:
            assert room.room.store.damage is None
            assert len((folder / HISTORY).read_bytes().splitlines()) == 1
            await (await room.connect("olga", token))("post_message", text="it goes on")
            assert room.room.notary.secret.hex() == secret.strip(), "questions are sealed with the same secret"
    assert (folder / KEY).read_text() == secret
    seal = read_seals(folder).seal
    assert seal is not None
    assert not seal.is_of_first_form
    assert shell(folder, "verify").code == 0


@pytest.mark.parametrize("seal", [None, "", "{}", '{"epoch": 1, "seq": 9, "hash": "", "at": 1.0, "signature": "00"}'])
async def test_a_room_of_the_previous_release_opened_without_a_seal_and_still_does(
    tmp_path: Path, seal: str | None
) -> None:
    folder = tmp_path / "room"
    await a_room(folder)
    of_earlier_release(folder)
    (folder / SEAL).unlink()
    if seal is not None:
        (folder / SEAL).write_text(seal)
    with logged():
        async with opened(folder) as room:
            assert room.store.damage is None
    assert verified(folder).good
    (folder / SEAL).unlink()
    async with opened(folder) as room:
        assert "seal.json is missing" in str(room.store.damage), "from now on, it must be there"


async def test_a_room_of_the_previous_release_that_lost_its_end_opens_read_only(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    await a_room(folder)
    of_earlier_release(folder)
    outside(folder, "delete from log where seq > 5", chained=True)
    async with opened(folder) as room:
        assert "the seal covers entry" in str(room.store.damage)


async def test_a_room_of_this_release_cannot_be_made_one_of_the_previous(tmp_path: Path) -> None:
    """Whoever takes the mark of this release away still has its seals against them."""
    folder = tmp_path / "room"
    await a_room(folder)
    forge(folder)
    outside(folder, "delete from migration where number = 16")
    async with opened(folder) as room:
        assert "the log was rewritten" in str(room.store.damage)


# ------------------------------------------------------------------ a reader without the secret


@promise("LOG6")
async def test_a_reader_with_a_head_and_the_public_key_checks_that_todays_log_continues_it(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    await a_room(folder)
    async with running_room(folder) as room:
        owner = await room.owner()
        kept = (await owner("post_message", text="I keep the head of this"))["head"]
        receipt = (await owner("read_receipts", after=int(kept.partition("@")[2]) - 1, limit=1))["receipts"][0]
        assert kept == f"{receipt['hash']}@{receipt['seq']}"
        refused = await owner.refused("claim_task", task="T-9")
        for number in range(5):
            await owner("post_message", text=f"later {number}")
    public = shell(folder, "verify", "--key").out.strip()
    assert public == str(PublicKey(public)) == shell(folder, "verify", "--key", "--json").json["public_key"]
    reader = tmp_path / "reader"
    make_private(reader)
    for name in (DATABASE, SEAL, HISTORY):
        shutil.copyfile(folder / name, reader / name)
    for head in (kept, refused["head"]):
        good = shell(reader, "verify", "--against", head, "--signed-by", public)
        assert good.code == 0, good.out
    assert "not made with this room's key" in shell(reader, "verify").out
    assert shell(reader, "verify", "--signed-by", "00" * 32).code == 1
    forked = shell(reader, "verify", "--against", f"{'0' * 64}@{kept.partition('@')[2]}", "--signed-by", public)
    assert (forked.code, "does not continue that head" in forked.out) == (1, True)
    beyond = shell(reader, "verify", "--against", f"{'0' * 64}@999", "--signed-by", public)
    assert (beyond.code, "the head that was given is entry 999" in beyond.out) == (1, True)


@promise("LOG6")
async def test_a_log_that_was_forged_and_sealed_with_the_key_differs_from_a_head_that_somebody_kept(
    tmp_path: Path,
) -> None:
    """The holder of the key can seal what it likes, but not what others have kept."""
    folder = tmp_path / "room"
    async with running_room(folder) as room:
        owner = await room.owner()
        kept = (await owner("post_message", text="the head of this"))["head"]
    assert shell(folder, "verify", "--against", kept).code == 0
    outside(folder, "update log set summary = 'nothing happened' where seq = 2", chained=True)
    for name in (SEAL, HISTORY):
        (folder / name).unlink()
    assert shell(folder, "seal", "--accept").code == 0
    assert shell(folder, "verify").code == 0
    assert shell(folder, "verify", "--against", kept).code == 1


@promise("LOG6")
@pytest.mark.parametrize("words", [("--against", "x@y"), ("--against", "00@1"), ("--signed-by", "no key")])
async def test_what_is_no_head_and_no_key_is_refused_as_usage(tmp_path: Path, words: tuple[str, ...]) -> None:
    await a_room(tmp_path / "room")
    assert shell(tmp_path / "room", "verify", *words).code == 2


# ------------------------------------------------------------------ the control journal


async def a_team(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("killed", "paused", "rotated")
    await owner("kill", target="killed", reason="it stole")
    await owner("pause", target="paused", reason="wrong")
    await owner("enroll", name="rotated", rotate=True)


LAXER = {
    "a killed member": ("update standing set state = 'active' where state = 'killed'", "@killed is active in it"),
    "a paused member": ("update standing set state = 'active' where state = 'paused'", "@paused is active in it"),
    "a token": ("update token set revoked_at = null where label = 'default'", "is valid in it and ended"),
    "an end": ("update standing set until = 2e9 where state = 'paused'", "@paused is paused until 2033-05-18"),
}


@promise("SAF5")
@pytest.mark.parametrize("name", LAXER)
async def test_a_database_laxer_than_the_journal_opens_read_only_and_says_what_differs(
    tmp_path: Path, name: str
) -> None:
    folder, (change, words) = tmp_path / "room", LAXER[name]
    async with running_room(folder) as room:
        await a_team(room)
    outside(folder, change)
    async with running_room(folder) as room:
        damage = str(room.room.store.damage)
        assert "it is laxer than control.journal" in damage
        assert words in damage
        assert (await (await room.owner()).refused("post_message", text="no"))["code"] == "storage"
    assert words in shell(folder, "seal").out
    assert shell(folder, "seal", "--accept", "--json").json["stopped"], "what was stopped is stopped again"
    async with running_room(folder) as room:
        assert room.room.store.damage is None
        members = (await (await room.owner())("who"))["members"]
        assert {m["name"]: m["standing"] for m in members} == {
            "olga": "active", "killed": "killed", "paused": "paused", "rotated": "active"
        }  # fmt: skip


@promise("SAF5")
async def test_an_act_whose_line_a_crash_kept_out_of_the_journal_explains_the_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "room"
    async with running_room(folder) as room:
        await a_team(room)
        owner = await room.owner()
        await owner("pause", target="room", reason="looking")
        await owner("pause", target="owner:olga", reason="looking")
        before = (folder / journal.JOURNAL).read_bytes()
        for target in ("paused", "room", "owner:olga"):
            await owner("resume", target=target, reason="go")
        await owner("enroll", name="killed", revive=True)
    (folder / journal.JOURNAL).write_bytes(before)
    async with opened(folder) as room:
        assert room.store.damage is None
    assert '"active"' in (folder / journal.JOURNAL).read_text()


@promise("SAF5")
async def test_a_pause_that_ended_by_itself_is_no_difference(tmp_path: Path) -> None:
    folder, time = tmp_path / "room", Time()
    async with running_room(folder, time=time) as room:
        await room.enroll("builder")
        await (await room.owner())("pause", target="builder", reason="short", for_seconds=60)
    time.forward(61)
    async with running_room(folder, time=time) as room:
        assert room.room.store.damage is None
        await (await room.owner())("resume", target="builder", reason="over")


async def test_the_seals_signature_covers_what_a_reader_relies_on() -> None:
    one = Seal(1, 2, "a", 3.0)
    for other in (Seal(2, 2, "a", 3.0), Seal(1, 3, "a", 3.0), Seal(1, 2, "b", 3.0), Seal(1, 2, "a", 4.0)):
        assert one.message != other.message
