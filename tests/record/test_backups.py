"""Backups are verified copies of a room that goes on; a restore begins a new epoch and revives nothing (SAF5)."""

import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from teamroom.clients.local.verify import verified
from teamroom.server import restore as restoring
from teamroom.server.record.backups import BACKUPS, Backup, BackupError, backups, known, make_backup
from teamroom.server.record.journal import JOURNAL
from teamroom.server.restore import RestoreError, restore
from teamroom.server.settings import Settings
from teamroom.server.store.folder import DATABASE, OWNER_TOKEN, make_private
from tests.campaigns.forgeries import opened
from tests.support.planting import API, planted, probe, prove, run, state
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room
from tests.support.shells import Shell
from tests.support.strides import stride

pytestmark = promise("SAF5")

NOW = 1_795_500_000.0


def back_up(folder: Path, kept: int = 7, at: float = NOW) -> Backup:
    return make_backup(folder, folder / BACKUPS, at, kept, lambda *_: None, lambda *_: None)


def put_back(folder: Path, backup: Backup, without_journal: bool = False) -> restoring.Restored:
    return restore(
        folder,
        backup.path,
        NOW + 1,
        without_journal=without_journal,
        settings=Settings(),
        progress=lambda *_: None,
    )


async def a_team(room: RunningRoom) -> tuple[Member, Member, Member]:
    """An owner, and two agents of which one holds a task."""
    owner = await room.owner()
    holder, other = await room.enroll("holder", "other")
    await owner("create_task", title="Rotate the keys")
    await holder("claim_task", task="T-1")
    return owner, holder, other


# ------------------------------------------------------------------ backups


async def test_a_backup_of_a_running_room_holds_every_acknowledged_act_and_is_private(room: RunningRoom) -> None:
    _, holder, _ = await a_team(room)
    receipt = (await holder("post_message", text="before the backup"))["receipt"]
    backup = back_up(room.folder)
    await holder("post_message", text="after the backup")
    assert backup.seq == receipt
    assert (backup.path.stat().st_mode & 0o777, backup.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert {path.name for path in backup.path.parent.iterdir()} == {
        backup.path.name,
        backup.path.with_suffix(".json").name,
    }
    assert known(backup.path) == backup


async def test_a_backup_contains_no_token_and_no_key(room: RunningRoom) -> None:
    await a_team(room)
    backup = back_up(room.folder)
    content = backup.path.read_bytes() + backup.path.with_suffix(".json").read_bytes()
    secrets = [room.owner_token, *room.tokens.values(), (room.folder / "room.key").read_text().strip()]
    assert [secret for secret in secrets if secret.encode() in content] == []
    assert b"Rotate the keys" in content, "what is looked for would be found"


async def test_a_room_under_load_is_backed_up_as_it_was_at_one_moment(room: RunningRoom) -> None:
    _, holder, other = await a_team(room)
    done = anyio.Event()

    async def post(member: Member) -> None:
        number = 0
        while not done.is_set():
            number += 1
            await member("post_message", text=f"{member.name} {number} {'x' * 2_000}")

    async with anyio.create_task_group() as load:
        load.start_soon(post, holder)
        load.start_soon(post, other)
        made = [await anyio.to_thread.run_sync(back_up, room.folder, 7, NOW + number) for number in range(5)]
        done.set()
    assert [b.seq for b in made] == sorted(b.seq for b in made)
    assert made[-1].seq > made[0].seq


async def test_only_the_newest_backups_of_a_room_are_kept(room: RunningRoom) -> None:
    for number in range(5):
        back_up(room.folder, kept=2, at=NOW + number)
    assert [backup.at for backup in backups(room.folder / BACKUPS)] == [NOW + 4, NOW + 3]
    assert len(list((room.folder / BACKUPS).iterdir())) == 4


async def test_a_copy_that_does_not_verify_is_removed(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await a_team(room)
    with closing(sqlite3.connect(room.folder / DATABASE)) as connection:
        connection.execute("update log set summary = 'something else' where seq = 3")
        connection.commit()
    with pytest.raises(BackupError, match="entry 3: its content was changed"):
        back_up(room.folder)
    assert list((room.folder / BACKUPS).iterdir()) == []


async def test_a_backup_that_was_changed_is_not_restored(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await a_team(room)
        backup = back_up(room.folder)
    before = (room.folder / DATABASE).read_bytes()
    content = bytearray(backup.path.read_bytes())
    content[-100] ^= 1
    backup.path.write_bytes(content)
    with pytest.raises(RestoreError, match="was changed"):
        put_back(room.folder, backup)
    assert (room.folder / DATABASE).read_bytes() == before


# ------------------------------------------------------------------ a restore


async def test_a_restored_room_has_what_was_backed_up_and_nothing_that_came_after(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        owner, holder, _ = await a_team(room)
        await holder("post_message", text="before")
        backup = back_up(room.folder)
        await holder("post_message", text="after")
        await owner("create_task", title="Too late")
        tokens = room.tokens
    done = put_back(room.folder, backup)
    assert (done.epoch, done.new_owner_token, done.replaced is not None) == (2, False, True)
    async with running_room(tmp_path / "room") as room:
        holder = await room.connect("holder", tokens["holder"])
        texts = [message["text"] for message in (await holder("read_messages"))["messages"]]
        assert texts == ["before"]
        assert [task["task"] for task in (await holder("read_board"))["tasks"]] == ["T-1"]
    assert Shell(tmp_path).run("verify", "--data", str(room.folder)).code == 0


async def test_cursors_fences_and_offers_from_before_a_restore_are_void(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        owner, holder, other = await a_team(room)
        backup = back_up(room.folder)
        await owner("update_task", task="T-1", status="released")
        late = await other("claim_task", task="T-1")
        cursor = (await other("check_in"))["cursor"]
        tokens = room.tokens
    put_back(room.folder, backup)
    async with running_room(tmp_path / "room") as room:
        holder = await room.connect("holder", tokens["holder"])
        other = await room.connect("other", tokens["other"])
        for member, fence in ((holder, 1), (other, late["fence"])):
            refused = await member.refused("update_task", task="T-1", fence=fence, note="still mine")
            assert refused["code"] == "stale_fence"
        for call in ("check_in", "wait_for_wake", "read_messages"):
            assert (await other.refused(call, after=cursor))["code"] == "expired"
        fresh = (await other("check_in"))["cursor"]
        await other("check_in", after=fresh)
        claim = await holder("claim_task", task="T-1")
        assert claim["fence"] > late["fence"]
        assert claim["history"][-1]["kind"] == "created"
        assert "restored" in {entry["kind"] for entry in claim["history"]}


async def test_a_probe_from_before_a_restore_can_no_longer_be_answered(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    async with running_room(tmp_path / "room") as room:
        (builder,) = await planted(room, proof, "builder")
        answer = run((await probe(builder))["command"], tmp_path)
        backup = back_up(room.folder)
    put_back(tmp_path / "room", backup)
    async with running_room(tmp_path / "room") as again:
        builder = await again.connect("builder", room.tokens["builder"])
        old = {"capability": API, "value": answer}
        assert (await builder.refused("declare_capabilities", proofs=[old]))["code"] == "conflict"
        await prove(builder, tmp_path)
        assert (await state(builder, "builder"))["state"] == "proven"


async def test_members_that_were_stopped_after_the_backup_stay_stopped(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        owner, _, _ = await a_team(room)
        await room.enroll("paused", "rotated", "revived")
        await owner("kill", target="revived", reason="by mistake")
        backup = back_up(room.folder)
        await owner("kill", target="holder", reason="it went wrong")
        await owner("pause", target="paused", reason="looking")
        await owner("enroll", name="rotated", rotate=True)
        await owner("enroll", name="revived", revive=True)
        tokens = room.tokens
    stopped = put_back(room.folder, backup).stopped
    assert any("@holder is killed" in line for line in stopped)
    async with running_room(tmp_path / "room") as room:
        owner = await room.owner()
        standings = {m["name"]: m["standing"] for m in (await owner("who"))["members"]}
        assert standings == {
            "olga": "active",
            "holder": "killed",
            "other": "active",
            "paused": "paused",
            "rotated": "active",
            "revived": "active",
        }
        for name, code in (("holder", "killed"), ("rotated", "not_allowed"), ("revived", "not_allowed")):
            answer = await room.raw(headers={"Authorization": f"Bearer {tokens[name]}"})
            assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (401, code), name


async def test_a_restored_room_drops_the_suspicion_of_a_member_killed_after_the_backup(
    tmp_path: Path,
) -> None:
    async with running_room(tmp_path / "room") as room:
        owner = await room.owner()
        (lost,) = await room.enroll("lost", mode="live")
        (rex,) = await room.enroll("rex", role="watchdog")
        await rex("declare_capabilities", capabilities=["runtime:lost"])
        await lost("check_in")
        await room.later(3600)
        backup = back_up(room.folder, at=room.time())
        await owner("kill", target="lost", reason="nobody is there")
    put_back(room.folder, backup)
    async with running_room(tmp_path / "room") as room:
        night = await (await room.owner())("overnight")
        assert "presence" not in night["broke"]["counts"]
        (task,) = (await (await room.owner())("read_board", state="all"))["tasks"]
        assert task["state"] == "cancelled"


async def test_a_restore_without_the_journal_must_be_requested(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        owner, _, _ = await a_team(room)
        backup = back_up(room.folder)
        await owner("kill", target="holder", reason="it went wrong")
        tokens = room.tokens
    (room.folder / JOURNAL).unlink()
    (room.folder / DATABASE).write_bytes(b"\0" * 8192)
    with pytest.raises(RestoreError, match="cannot tell who was killed"):
        put_back(room.folder, backup)
    put_back(room.folder, backup, without_journal=True)
    async with running_room(tmp_path / "room") as room:
        await (await room.connect("holder", tokens["holder"]))("check_in")


async def test_without_the_journal_the_room_that_is_replaced_says_who_was_stopped(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        owner, _, _ = await a_team(room)
        backup = back_up(room.folder)
        await owner("kill", target="holder", reason="it went wrong")
        await owner("pause", target="room", reason="looking")
        await owner("enroll", name="other", rotate=True)
        tokens = room.tokens
    (room.folder / JOURNAL).unlink()
    stopped = put_back(room.folder, backup, without_journal=True).stopped
    assert sorted(stopped) == [
        "2 tokens stay revoked",
        "@holder is killed, as before the room was restored",
        "room is paused, as before the room was restored",
    ]
    async with running_room(tmp_path / "room") as room:
        for name in ("holder", "other"):
            answer = await room.raw(headers={"Authorization": f"Bearer {tokens[name]}"})
            assert answer.status_code == 401, name


async def test_a_journal_that_was_made_laxer_revives_nobody_who_is_stopped_in_the_room(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        owner, _, _ = await a_team(room)
        await owner("pause", target="other", reason="looking")
        await owner("kill", target="holder", reason="it went wrong")
        backup = back_up(room.folder)
    journal = (room.folder / JOURNAL).read_text()
    (room.folder / JOURNAL).write_text(journal.replace('"killed"', '"active"').replace('"paused"', '"active"'))
    put_back(room.folder, backup)
    async with running_room(tmp_path / "room") as room:
        standings = {m["name"]: m["standing"] for m in (await (await room.owner())("who"))["members"]}
        assert standings == {"olga": "active", "holder": "killed", "other": "paused"}


async def test_a_backup_without_this_rooms_signature_is_restored_only_when_asked_and_then_revokes_every_token(
    tmp_path: Path,
) -> None:
    async with running_room(tmp_path / "room") as room:
        await a_team(room)
        backup = back_up(room.folder)
        tokens = {"olga": room.owner_token, **room.tokens}
    description = backup.path.with_suffix(".json")
    whole = description.read_text()
    for name, change in (("signature", ""), ("signature", "00" * 64), ("seq", backup.seq - 1)):
        description.write_text(json.dumps({**json.loads(whole), name: change}))
        with pytest.raises(RestoreError, match="not signed with this room's key") as refused:
            put_back(room.folder, backup)
        assert "--unsigned" in refused.value.fix
    shell = Shell(tmp_path)
    assert shell.now("restore", str(backup.path), "--data", str(room.folder)).code == 1
    done = shell.now("restore", str(backup.path), "--data", str(room.folder), "--unsigned")
    assert done.code == 0, done.err
    assert "so all 3 tokens are revoked" in done.out
    assert "contains a new token of the owner" in done.out
    async with running_room(tmp_path / "room") as room:
        for name, token in tokens.items():
            answer = await room.raw(headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401, name
        assert (await (await room.owner())("read_board"))["tasks"]
        assert any("3 tokens were revoked" in (entry["summary"] or "") for entry in room.entries())
    assert shell.now("verify", "--data", str(room.folder)).code == 0


async def test_a_log_that_its_seal_contradicts_is_not_backed_up(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await a_team(room)
    (room.folder / "seal.json").write_text((room.folder / "seal.json").read_text().replace('"seq": ', '"seq": 1'))
    with pytest.raises(BackupError, match=r"seal\.json was not signed with the room's key"):
        back_up(room.folder)
    (room.folder / "room.key").unlink()
    with pytest.raises(BackupError, match="cannot be signed"):
        back_up(room.folder)
    assert list((room.folder / BACKUPS).glob("*")) == []


async def test_a_kill_whose_line_was_cut_off_is_in_the_journal_again_once_the_room_has_opened(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        owner, _, _ = await a_team(room)
        backup = back_up(room.folder)
        await owner("kill", target="holder", reason="it went wrong")
    journal = (room.folder / JOURNAL).read_text()
    cut = journal.index('"killed"')
    (room.folder / JOURNAL).write_text(journal[:cut])
    async with running_room(tmp_path / "room"):
        pass
    assert '"killed"' in (room.folder / JOURNAL).read_text()
    assert any("@holder is killed" in line for line in put_back(room.folder, backup).stopped)


async def test_a_backup_opens_in_another_folder_with_a_token_for_its_owner(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await a_team(room)
        backup = back_up(room.folder)
    elsewhere = tmp_path / "elsewhere"
    make_private(elsewhere)
    with pytest.raises(RestoreError, match=r"room\.key is missing"):
        put_back(elsewhere, backup, without_journal=True)
    shutil.copyfile(room.folder / "room.key", elsewhere / "room.key")
    assert put_back(elsewhere, backup, without_journal=True).new_owner_token
    async with running_room(elsewhere) as room:
        assert (await (await room.owner())("read_board"))["tasks"][0]["task"] == "T-1"
    assert Shell(tmp_path).run("verify", "--data", str(elsewhere)).code == 0


async def test_a_backup_of_another_room_does_not_replace_this_room(tmp_path: Path) -> None:
    async with running_room(tmp_path / "one") as one, running_room(tmp_path / "two") as two:
        await two.owner()
        backup = back_up(one.folder)
    with pytest.raises(RestoreError, match="a different room"):
        put_back(two.folder, backup)


async def test_a_room_restored_twice_is_in_its_third_epoch(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await a_team(room)
        backup = back_up(room.folder)
    assert [put_back(room.folder, backup).epoch, put_back(room.folder, backup).epoch] == [2, 3]


async def test_a_damaged_room_is_restored_and_kept_aside(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        await a_team(room)
        backup = back_up(room.folder)
        tokens = room.tokens
    (room.folder / DATABASE).write_bytes(b"\0" * 8192)
    done = put_back(room.folder, backup)
    assert done.replaced is not None
    assert (done.replaced / DATABASE).read_bytes() == b"\0" * 8192
    async with running_room(tmp_path / "room") as room:
        await (await room.connect("holder", tokens["holder"]))("check_in")


STRIDE = stride(3)
"""At each this many touches of a file, a restore dies; in `make faults` at each."""


async def test_a_restore_that_dies_anywhere_leaves_the_old_room_or_the_new(tmp_path: Path) -> None:
    async with running_room(tmp_path / "first") as room:
        owner, holder, _ = await a_team(room)
        backup = back_up(room.folder)
        await holder("post_message", text="after the backup")
        await owner("kill", target="other", reason="it went wrong")
    outcomes: dict[str, int] = {}
    for step in range(1, 400, STRIDE):
        folder = tmp_path / f"step-{step}"
        copy_folder(room.folder, folder)
        died = dies_at(folder, folder / BACKUPS / backup.path.name, step)
        outcome = which_room(folder)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        async with opened(folder) as restored:
            assert restored.store.damage is None, step
        assert verified(folder, seal_wait_seconds=0).good, step
        if not died:
            break
    assert not died, "the restore takes more steps than were tried"
    assert set(outcomes) == {"old", "new"}
    assert outcomes["old"] > 10 / STRIDE


def copy_folder(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=shutil.copy2)
    target.chmod(0o700)


def dies_at(folder: Path, backup: Path, step: int) -> bool:
    """Restore in a process that ends without a word at the n-th touch of a file; whether it did."""
    child = os.fork()
    if child == 0:
        touched = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal touched
            if event in ("open", "os.rename", "os.remove", "os.link", "os.mkdir", "sqlite3.connect"):
                touched += 1
                if touched == step:
                    os._exit(9)

        sys.addaudithook(hook)
        try:
            restore(folder, backup, NOW + 1, without_journal=False, settings=Settings(), progress=lambda *_: None)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def which_room(folder: Path) -> str:
    """The old room whole, or the new one whole: never another, and never without what was killed."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        epoch = connection.execute("select epoch from head").fetchone()[0]
        texts = [row[0] for row in connection.execute("select text from message")]
        killed = connection.execute("select count(*) from standing where state = 'killed'").fetchone()[0]
        assert connection.execute("pragma integrity_check").fetchone()[0] == "ok"
    assert killed == 1
    assert (epoch, texts) in ((1, ["after the backup"]), (2, []))
    return "old" if epoch == 1 else "new"


# ------------------------------------------------------------------ the commands


async def test_the_commands_create_list_and_restore_backups(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    folder = str(tmp_path / "room")
    async with running_room(tmp_path / "room") as room:
        await a_team(room)
        made = shell.run("backup", "--data", folder, "--json")
        assert made.code == 0, made.err
        path = made.json["path"]
        running = shell.run("restore", path, "--data", folder)
        assert running.code == 1
        assert "Another server has the room" in running.err
    assert [b["path"] for b in shell.run("backup", "--list", "--data", folder, "--json").json] == [path]
    done = shell.run("restore", path, "--data", folder)
    assert done.code == 0, done.err
    assert "Epoch 2 begins" in done.out
    nothing = shell.run("backup", "--data", str(tmp_path / "nowhere"))
    assert (nothing.code, "There is no room" in nothing.err) == (1, True)
    assert (tmp_path / "room" / OWNER_TOKEN).exists()
    assert json.loads(shell.run("verify", "--data", folder, "--json").out)["good"]
