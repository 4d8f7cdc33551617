"""`teamroom letters`: a person sees and sets when and where letters come, and gives addresses out of sight."""

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest

from teamroom.clients.session.failure import NOT_AUTHORISED
from teamroom.clients.session.place import Place
from tests.letters.test_letter_settings import OPEN
from tests.support.promises import house
from tests.support.receivers import Receiver, receiver
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import Shell, up

pytestmark = house

SECRET = "hunter2-0f5c83d1"


@pytest.fixture
def phone() -> Iterator[Receiver]:
    """Olga's."""
    with receiver() as found:
        yield found


def shell_of(room: RunningRoom, name: str = "olga") -> Shell:
    token = room.owner_token if name == "olga" else room.tokens[name]
    return Shell(room.folder.parent, {"TEAMROOM_URL": room.url, "TEAMROOM_TOKEN": token})


async def test_a_person_sees_what_applies_and_sets_it(room: RunningRoom) -> None:
    shell = shell_of(room)
    before = await shell.here("letters")
    assert before.out.splitlines()[0].split() == ["quiet", "hours", "none", "the", "room's"]
    assert "teamroom letters channel add" in before.out
    options = ("--quiet", "22:00-07:00", "--per-hour", "3", "--zone", "Europe/Berlin", "--digest", "none", "--suspects")
    done = await shell.here("letters", "set", *options)
    assert done.code == 0
    assert done.out.startswith("Changed the letters to @olga. Receipt ")
    found = (await shell.here("letters", "show", "--json")).json
    assert found["settings"] == {
        "quiet": "22:00-07:00",
        "per_hour": 3,
        "zone": "Europe/Berlin",
        "digest_time": "",
        "suspects": True,
        "own": ["quiet", "per_hour", "zone", "digest_time", "suspects"],
    }
    assert (await shell.here("letters", "--json")).json == found, "`letters` alone shows them, with its options"
    again = await shell.here("letters", "set", "--no-suspects", "--quiet", "room", "--json")
    assert (again.json["settings"]["suspects"], again.json["settings"]["quiet"]) == (False, "")
    assert (await shell.here("letters", "set", "--quiet", "room")).out.startswith("Nothing changed.")


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("set",), 2, "There is nothing to change."),
        (("set", "--quiet", "late"), 1, "write quiet hours like 22:00-07:00"),
        (("set", "--zone", "Mars"), 1, "not a time zone"),
        (("set", "--per-hour", "101"), 2, "must be at most 100"),
        (("set", "--quiet", "none", "--for", "nobody"), 1, "no member"),
        (("channel", "remove", "1"), 1, "has no channel 1"),
        (("channel", "remove", "x"), 2, "must be a whole number"),
        (("channel", "add", "--file", "/nowhere/address"), 1, "cannot be read"),
        (("show", "--for", "nobody"), 1, "shows no letters of @nobody"),
        (("test",), 1, "@olga has no channel."),
    ],
)
async def test_what_goes_wrong_says_so_with_its_exit_code(
    room: RunningRoom, words: tuple[str, ...], code: int, why: str
) -> None:
    done = await shell_of(room).here("letters", *words)
    assert (done.code, why in done.err, "Traceback" in done.err) == (code, True, False), done


def test_an_address_comes_from_standard_input_or_a_file_and_is_never_shown(tmp_path: Path, phone: Receiver) -> None:
    file = tmp_path / "address"
    file.write_text(f"  {phone.url}{SECRET}-file\n", encoding="utf-8-sig")
    with up(tmp_path / "room", "--owner", "olga", TEAMROOM_NOTIFY_PRIVATE="1", TEAMROOM_NOTIFY_DIGEST="") as room:
        shell = room.shell
        piped = shell.run("letters", "channel", "add", "--json", stdin=f"{phone.url}{SECRET}-pipe\n")
        assert (piped.code, piped.json["added"], piped.json["channels"]) == (0, 1, ["json"])
        saved = shell.run("letters", "channel", "add", "--file", str(file))
        assert saved.out.splitlines()[-1] == "Channel 2 was added. To test it, run: teamroom letters test"
        for nothing in ("", " \n", f"{phone.url} {phone.url}", "x" * 9000):
            refused = shell.run("letters", "channel", "add", stdin=nothing)
            assert (refused.code, "There is no address, or more than one." in refused.err) == (2, True)
        tested = shell.now("letters", "test")
        assert (tested.code, tested.out) == (0, "json  delivered\njson  delivered\n")
        assert phone.tries == 2
        shown = shell.now("letters")
        assert [line.split("  ")[:2] for line in shown.out.splitlines()[-2:]] == [
            ["channel 1", "json://…"],
            ["channel 2", "json://…"],
        ]
        gone = shell.now("letters", "channel", "remove", "1")
        assert gone.code == 0
        assert shell.now("letters").out.count("json://…") == 1
        said = (piped, saved, tested, shown, gone)
    assert SECRET not in "".join(done.out + done.err for done in said)


async def test_on_a_terminal_the_address_is_asked_for_without_an_echo(
    tmp_path: Path, phone: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def typed(prompt: str) -> str:
        asked.append(prompt)
        return f"{phone.url}{SECRET}"

    monkeypatch.setattr(getpass, "getpass", typed)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert Place().on_terminal
    async with running_room(tmp_path / "room", **OPEN) as room:
        done = await shell_of(room).here("letters", "channel", "add")
    assert (done.code, len(asked)) == (0, 1)
    assert SECRET not in done.out + done.err


async def test_a_room_owner_sets_the_letters_of_another_person(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", supervised=True, **OPEN) as room:
        (hanna,) = await room.enroll("hanna", kind="human")
        await hanna("notify", add_channel=phone.url)
        shell = shell_of(room)
        done = await shell.here("letters", "set", "--digest", "09:00", "--for", "@hanna")
        assert done.out.startswith("Changed the letters to @hanna.")
        shown = await shell.here("letters", "--for", "Hanna")
        assert "09:00" in shown.out
        assert (await shell.here("letters", "test", "--for", "hanna")).out == "json  delivered\n"
        assert (await shell.here("letters", "channel", "remove", "1", "--for", "hanna")).code == 0
        refused = await shell_of(room, "hanna").here("letters", "set", "--quiet", "none", "--for", "olga")
        assert (refused.code, "Only room owners" in refused.err) == (NOT_AUTHORISED, True)


async def test_completion_knows_the_subcommands_and_every_zone(room: RunningRoom) -> None:
    shell = shell_of(room)
    assert {"show", "set", "test", "channel"} <= set(
        (await shell.here("completion", "bash", "--", "letters", "")).out.split()
    )
    channel = (await shell.here("completion", "bash", "--", "letters", "channel", "")).out.split()
    assert {"add", "remove"} <= set(channel)
    zones = (await shell.here("completion", "bash", "--", "letters", "set", "--zone", "Europe/Be")).out.split()
    assert zones == ["Europe/Belfast", "Europe/Belgrade", "Europe/Berlin"]
