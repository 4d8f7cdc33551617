"""Files as editors save them, and folders as people name them: byte order marks, CRLF and spaces."""

import re
from pathlib import Path

import pytest

from teamroom.clients.watchdog.runtimes import load as load_runtimes
from teamroom.server.record.journal import JOURNAL
from teamroom.server.record.keys import find_key
from teamroom.server.settings import load
from teamroom.server.store.folder import OWNER_TOKEN
from tests.support.promises import house, promise
from tests.support.rooms import running_room
from tests.support.shells import Shell, token_file

pytestmark = house

ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-be")


def saved(path: Path, encoding: str) -> None:
    """Save a text file again, as an editor of another system does."""
    text = path.read_text().replace("\n", "\r\n")
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path.write_bytes((mark + text).encode(encoding))
    path.chmod(0o600)


@promise("SAF6")
@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_what_a_person_writes_is_read_whatever_marks_its_editor_adds(tmp_path: Path, encoding: str) -> None:
    """The settings, a watchdog's config, and each place that a token may be in."""
    folder = tmp_path / "room"
    async with running_room(folder) as room:
        (folder / "room.toml").write_text("# Größe\nwip_cap = 3\n")
        saved(folder / "room.toml", encoding)
        assert load(folder, {}).wip_cap == 3
        config = tmp_path / "runtimes.toml"
        config.write_text('[runtime.builder]\nstart = ["true"]\n')
        saved(config, encoding)
        assert "builder" in load_runtimes(config, {}).runtime
        named = token_file(tmp_path / "mine", room.owner_token)
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(folder), "TEAMROOM_URL": room.url})
        assert (await shell.here("enroll", "builder", "--save")).code == 0
        for path in (named, folder / OWNER_TOKEN, folder / "members" / "builder.token"):
            saved(path, encoding)
        in_variable = f"\ufeff{room.owner_token}\r"
        for using, words in (
            (shell, ()),
            (shell, ("--token-file", str(named))),
            (shell, ("--token-file", str(folder / "members" / "builder.token"))),
            (shell.with_(TEAMROOM_TOKEN=in_variable), ()),
        ):
            done = await using.here("roster", *words)
            assert done.code == 0, (words, done)


@promise("SAF5")
async def test_what_the_room_writes_is_read_after_an_editor_saved_it(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    async with running_room(folder) as room:
        await room.enroll("builder", "tester")
        owner = await room.owner()
        await owner("pause", target="builder", reason="wait")
        await owner("kill", target="tester", reason="enough")
    key = find_key(folder)
    for name in (JOURNAL, "seal.json", "seal.history", "room.key", "room.port"):
        if (folder / name).exists():
            saved(folder / name, "utf-8-sig")
    assert key is not None
    assert (found := find_key(folder)) is not None
    assert found.secret == key.secret
    async with running_room(folder) as room:
        assert room.room.store.damage is None
        who = {m["name"]: m["standing"] for m in (await (await room.owner())("who"))["members"]}
        assert (who["builder"], who["tester"]) == ("paused", "killed")
    assert (await Shell(tmp_path, {"TEAMROOM_DATA": str(folder)}).here("verify")).code == 0


UNQUOTED = re.compile(r"(--data|--token-file|restore|rm|chmod \d+|chown \d+|cat|verify|up) (?!['\"])(/\S* )")


async def test_every_printed_command_quotes_the_folder(tmp_path: Path) -> None:
    """A path with a space and a quotation mark, in all that commands print about it."""
    folder = tmp_path / "my own' room"
    async with running_room(folder, on_own_socket=True) as room:
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(folder), "TEAMROOM_URL": room.url})
        printed = {}
        for words in (
            *(("enroll", "builder"), ("enroll", "saver", "--save"), ("enroll", "olga", "--rotate"), ("recover",)),
            *(("backup",), ("backup", "--list"), ("doctor",), ("seal",), ("up", "--port", "0"), ("verify",)),
            *(("connect", "--as", "nobody"), ("plant",), ("restore", str(folder / "none.db")), ("seal", "--accept")),
        ):
            done = await shell.here(*words)
            printed[words] = done.out + done.err
        (folder / OWNER_TOKEN).unlink()
        printed["lost",] = (await shell.here("roster")).err
    (folder / "server.json").write_text('{"url": "http://127.0.0.1:1", "pid": 999999999}')
    printed["stopped",] = (await Shell(tmp_path, {"TEAMROOM_DATA": str(folder)}).here("doctor")).out
    for words, text in printed.items():
        joined = " ".join(text.split())
        assert not (found := UNQUOTED.search(joined)), (words, found and joined[found.start() : found.end() + 60])
    assert "--data '" in printed["enroll", "builder"]
    assert "rm '" in printed["stopped",]
    assert "restore '" in printed["backup",]
