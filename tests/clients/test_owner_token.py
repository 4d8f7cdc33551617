"""The owner's token: rotating it cannot lose it, and who has the room's folder can have a new one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from teamroom.clients.local import recover as recovering
from teamroom.clients.session import place as places
from teamroom.clients.session.connection import Answer, Connection
from teamroom.clients.session.failure import NOT_AUTHORISED, PAUSED, UnreachableError
from teamroom.server.own_socket import CODE, RECOVER_PATH
from teamroom.server.store.folder import OWNER_TOKEN
from tests.clients.test_impostors import FRAME, LOCAL, PROCESSES, WORDS
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import TOKEN, Shell, token_file

pytestmark = promise("ID4")


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[RunningRoom]:
    """A room in a folder whose path has a space, which answers on its own socket too."""
    async with running_room(tmp_path / "the room", on_own_socket=True) as running:
        yield running


@pytest.fixture
def shell(room: RunningRoom) -> Shell:
    return Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})


def held(room: RunningRoom) -> str:
    return (room.folder / OWNER_TOKEN).read_text().strip()


async def status(room: RunningRoom, token: str) -> int:
    """What a call with a token gets: 401 for one that is not in force."""
    return (await room.raw(headers={"Authorization": f"Bearer {token}"}, json={})).status_code


# ------------------------------------------------------------------ rotating


async def test_the_token_that_rotates_itself_ends_when_the_new_one_is_first_used(room: RunningRoom) -> None:
    owner = await room.owner()
    lost = (await owner("enroll", name="olga", rotate=True))["token"]
    words = await owner.said("enroll", name="olga", rotate=True)
    new = words[0]["token"]
    assert words[0]["yours_until_used"]
    assert "The token of this call ends when the new one is first used." in words[1]
    assert await status(room, lost) == 401, "a new one takes the place of the one that was never used"
    assert await status(room, room.owner_token) != 401
    assert await status(room, new) != 401
    assert await status(room, room.owner_token) == 401
    assert [e["summary"] for e in room.entries()][-1] == (
        "@olga uses its new token, so the one that it replaces has ended"
    )
    before = len(room.entries())
    assert await status(room, new) != 401
    assert len(room.entries()) == before, "it ends once"


async def test_a_token_that_another_one_rotates_ends_at_once(room: RunningRoom) -> None:
    await room.enroll("builder")
    owner = await room.owner()
    rotated = await owner("enroll", name="builder", rotate=True)
    assert not rotated["yours_until_used"]
    assert await status(room, room.tokens["builder"]) == 401


async def test_the_shell_puts_its_own_new_token_where_the_old_one_was(room: RunningRoom, shell: Shell) -> None:
    """Each way in which the shell gets its token: the folder, a file, and the environment with and without a file."""
    mine = token_file(room.folder.parent / "mine", room.owner_token)
    alone = shell.with_(TEAMROOM_DATA=str(room.folder.parent / "elsewhere"))
    for way, words in (
        ("folder", ("enroll", "olga", "--rotate")),
        ("file", ("enroll", "olga", "--rotate", "--token-file", str(mine))),
        ("saved", ("enroll", "olga", "--rotate", "--save")),
        ("environment", ("enroll", "olga", "--rotate")),
    ):
        token_file(mine, held(room))
        old = held(room)
        using = shell.with_(TEAMROOM_TOKEN=old) if way == "environment" else shell
        done = await using.here(*words)
        assert done.code == 0, done
        assert await status(room, old) == 401, way
        assert await status(room, held(room)) != 401, way
        assert not TOKEN.search(done.out), "it is in the file"
        assert ("unset TEAMROOM_TOKEN" in done.out) == (way == "environment")
        assert mine.read_text().strip() == (held(room) if way == "file" else old)
    assert (room.folder / "members" / "olga.token").read_text().strip() == held(room)
    printed = await alone.with_(TEAMROOM_TOKEN=held(room)).here("enroll", "olga", "--rotate")
    assert TOKEN.search(printed.out)
    assert "ends when the new one is first used" in printed.out
    assert await status(room, held(room)) != 401, "it is in no file, so the old one goes on"


@pytest.mark.parametrize("step", ["no answer", "no file", "no use"])
async def test_a_rotation_that_stops_at_any_step_leaves_a_token_that_works(
    room: RunningRoom, shell: Shell, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from teamroom.clients.shell import members

    def stops(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device") if step == "no file" else KeyboardInterrupt

    target = {"no answer": "_replace_own", "no file": "replace_token", "no use": "connected"}[step]
    with monkeypatch.context() as patch:
        patch.setattr(members, target, stops)
        done = await shell.here("enroll", "olga", "--rotate")
    assert done.code == (1 if step == "no file" else 130), done
    if step == "no file":
        assert "still works" in done.err
    assert (await shell.here("roster")).code == 0
    assert (await shell.here("enroll", "olga", "--rotate")).code == 0
    assert (await shell.here("roster")).code == 0


@promise("LOG4")
async def test_an_enrolment_whose_answer_was_lost_is_repeated_and_says_how_to_get_a_token(
    room: RunningRoom, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, lost = Connection.post, 0

    def loses(self: Connection, *arguments: Any) -> Answer:
        nonlocal lost
        answer = post(self, *arguments)
        if lost > 0:
            lost -= 1
            raise UnreachableError(room.url, "ConnectionResetError")
        return answer

    monkeypatch.setattr(Connection, "post", loses)
    lost = 1
    once = await shell.here("enroll", "builder", "--label", "night shift")
    assert once.code == 0
    assert "teamroom enroll builder --label 'night shift' --rotate" in once.out
    lost = 2
    twice = await shell.here("enroll", "tester", "--role", "observer", "--expires", "2h")
    assert twice.code == 1
    assert "--role observer --expires 7200s --request-id " in twice.err
    assert f"--data '{room.folder}'" in twice.err
    request_id = twice.err.split("--request-id ")[1].split()[0]
    again = await shell.here("enroll", "tester", "--role", "observer", "--expires", "7200s", "--request-id", request_id)
    assert "For a new token, run: teamroom enroll tester --rotate" in again.out
    assert [e["subject"] for e in room.entries() if e["act"] == "enroll"] == ["@olga", "@builder", "@tester"]


# ------------------------------------------------------------------ recovering


@promise("SAF7")
async def test_a_lost_token_is_recovered_while_the_room_runs_and_leaves_a_receipt(
    room: RunningRoom, shell: Shell
) -> None:
    old = held(room)
    (room.folder / OWNER_TOKEN).unlink()
    missing = await shell.here("roster")
    assert "teamroom recover" in missing.err
    token_file(room.folder / OWNER_TOKEN, "tr_" + "5e" * 32)
    assert f"teamroom recover --data '{room.folder}'" in (await shell.here("roster")).err
    agent = await shell.with_(CLAUDECODE="1").here("recover")
    assert (agent.code, "CLAUDECODE is set" in agent.err) == (NOT_AUTHORISED, True)
    done = (await shell.here("recover", "--json")).json
    [entry] = [e for e in room.entries() if e["act"] == "recover"]
    assert done == {"name": "olga", "receipt": entry["seq"], "token_file": str(room.folder / OWNER_TOKEN)}
    assert (await shell.here("roster")).code == 0
    assert await status(room, old) == 401, "the lost one ends"
    assert not (room.folder / CODE).exists()


async def test_only_who_writes_into_the_folder_can_recover(room: RunningRoom, shell: Shell) -> None:
    """A proxy may lead to the socket, and the address to anybody."""
    assert (await room.raw(path=RECOVER_PATH, json={"code": "x", "name": None})).status_code == 404

    assert await asked(room, "") == 403
    token_file(room.folder / CODE, "right")
    assert await asked(room, "wrong") == 403
    assert await asked(room, "right") == 403, "a code counts once, and a wrong one uses it up"
    assert [e for e in room.entries() if e["act"] == "recover"] == []
    token_file(room.folder / CODE, "right")
    assert await asked(room, "right") == 200


async def asked(room: RunningRoom, code: str) -> int:
    """What the room's own socket answers to who shows a code."""

    def ask() -> int:
        with Connection(f"{room.url}{RECOVER_PATH}", socket_folder=room.folder, only_socket=True) as connection:
            body = f'{{"code": "{code}", "name": null}}'.encode()
            return connection.post(body, {"Content-Type": "application/json"}).status

    return await asyncio.to_thread(ask)


async def test_recovering_gives_nothing_back_that_a_room_owner_took_away(room: RunningRoom, shell: Shell) -> None:
    owner = await room.owner()
    hanna = (await owner("enroll", name="hanna", kind="human", role="owner"))["token"]
    await owner("enroll", name="pia", kind="human", role="operator")
    assert "teamroom enroll hanna --rotate" in (await shell.here("recover", "hanna")).err
    await (await room.connect("hanna", hanna))("kill", target="olga", reason="she left")
    refused = await shell.here("recover")
    assert refused.code == NOT_AUTHORISED
    assert "@olga was killed by @hanna: “she left”." in refused.err
    for name in ("pia", "nobody"):
        assert (await shell.here("recover", name)).code != 0
    assert await status(room, hanna) != 401
    done = await shell.here("recover", "hanna")
    assert done.code == 0, done.err
    assert await status(room, hanna) == 401
    assert await status(room, held(room)) != 401


async def test_a_stopped_room_is_recovered_and_a_folder_without_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "room"
    async with running_room(folder):
        pass
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(folder)})
    (folder / OWNER_TOKEN).write_bytes(b"\xff\xfe")
    with monkeypatch.context() as patch:  # it dies before the file is written, and is run again
        patch.setattr("teamroom.server.app.write_private", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        assert (await shell.here("recover")).code == 1
    assert (await shell.here("recover")).code == 0
    async with running_room(folder) as room:
        assert await status(room, held(room)) != 401
    nowhere = await shell.with_(TEAMROOM_DATA=str(tmp_path / "nowhere")).here("recover")
    assert "There is no room in" in nowhere.err
    assert not (tmp_path / "nowhere").exists()
    assert recovering.CODE_BYTES >= 32


def is_folder(file: Path, patch: pytest.MonkeyPatch) -> None:
    file.unlink()
    file.mkdir(0o700)


def is_link(file: Path, patch: pytest.MonkeyPatch) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


def is_on_a_full_disk(file: Path, patch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    patch.setattr("teamroom.server.app.write_private", fails)


BROKEN = (
    (is_folder, 1, "owner.token cannot be used: Is a directory. Earlier tokens remain valid."),
    (is_link, NOT_AUTHORISED, "owner.token is a symbolic link"),
    (is_on_a_full_disk, 1, "owner.token cannot be used: No space left on device. Earlier tokens remain valid."),
)


@pytest.mark.parametrize(("broken", "code", "why"), BROKEN)
@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
async def test_a_token_that_cannot_be_put_into_the_folder_is_refused_with_the_reason(
    tmp_path: Path, is_running: bool, broken: Any, code: int, why: str
) -> None:
    folder = tmp_path / "the room"
    async with contextlib.AsyncExitStack() as running:
        room = await running.enter_async_context(running_room(folder, on_own_socket=True))
        if not is_running:
            await running.aclose()
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(folder), "TEAMROOM_URL": room.url})
        with pytest.MonkeyPatch.context() as patch:
            broken(folder / OWNER_TOKEN, patch)
            done = await shell.here("recover")
            assert (done.code, why in done.err) == (code, True), done
            assert "Fix: " in done.err
            if is_running:
                token_file(folder / CODE, "right")
                assert await asked(room, "right") == 403
                assert await status(room, room.owner_token) != 401


async def test_a_code_that_is_no_file_of_its_user_is_refused(room: RunningRoom) -> None:
    (room.folder / CODE).mkdir(0o700)
    assert await asked(room, "right") == 403


# ------------------------------------------------------------------ who the shell speaks as


@promise("SAF7")
async def test_every_refusal_of_every_command_says_who_called_and_where_the_token_came_from(
    room: RunningRoom, shell: Shell
) -> None:
    await room.enroll("builder", "watcher")
    owner = await room.owner()
    (room.folder.parent / "runtimes.toml").write_text('[runtime.builder]\nstart = ["true"]\n')
    (room.folder.parent / "tasks.md").write_text("- [ ] write the parser\n")
    (room.folder.parent / "address").write_text("json://example.org/a\n")
    await owner("pause", target="builder", reason="enough")
    file = token_file(room.folder.parent / "mine", room.tokens["builder"])
    for source, using, more in (
        ("the environment (TEAMROOM_TOKEN)", shell.with_(TEAMROOM_TOKEN=room.tokens["builder"]), ()),
        (f"the file {file}", shell, ("--token-file", str(file))),
    ):
        for name in sorted(set(WORDS) - LOCAL - PROCESSES):
            words = [word.format(folder=room.folder.parent) for word in WORDS[name]]
            done = await using.here(*name.split(), *words, *more)
            said = f"You called as @builder, with the token from {source}."
            assert said in " ".join((done.out + done.err).split()), (name, done)
            assert name == "doctor" or done.code == PAUSED
    as_json = (await shell.with_(TEAMROOM_TOKEN=room.tokens["builder"]).here("board", "--json")).json
    assert (as_json["caller"], as_json["token_from"]) == ("builder", "the environment (TEAMROOM_TOKEN)")
    await owner("kill", target="builder", reason="enough")
    killed = shell.with_(TEAMROOM_TOKEN=room.tokens["builder"])
    for name, words in (("listen", ("--as", "builder", "--", "true")), ("connect", ("--as", "builder")),
                        ("watch", ("--once", "--as", "builder", "--config", "../runtimes.toml"))):  # fmt: skip
        words = tuple(w.replace("..", str(room.folder.parent)) for w in words)
        done = await asyncio.to_thread(killed.run, name, *words, stdin=FRAME)
        assert "the token from the environment (TEAMROOM_TOKEN)" in done.err, (name, done)


def test_who_called_is_looked_for_in_the_order_in_which_the_token_is(tmp_path: Path) -> None:
    at = places.Place(tmp_path, environment={})
    assert places.origin_of_token(at) == f"the room's folder ({tmp_path / OWNER_TOKEN})"
    assert places.origin_of_token(at, "builder") == f"the room's folder ({tmp_path / 'members' / 'builder.token'})"
    with contextlib.suppress(LookupError):
        assert "TEAMROOM_TOKEN" in places.origin_of_token(places.Place(tmp_path, environment={"TEAMROOM_TOKEN": "x"}))
