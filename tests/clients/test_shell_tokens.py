"""Who the shell is: the token rules of SAF7, each with a twin that shows what it turns on."""

from pathlib import Path
from typing import Any

import pytest

from teamroom.clients.session.failure import NOT_AUTHORISED, Failure
from teamroom.clients.session.place import HARNESS_VARIABLES, OWNER_TOKEN, Place, member_token, token
from tests.support.promises import promise
from tests.support.rooms import running_room
from tests.support.shells import Shell, token_file

pytestmark = promise("SAF7")

OWNERS = "tr_" + "0" * 64
MINE = "tr_" + "1" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "room"
    data.mkdir(mode=0o700)
    token_file(data / OWNER_TOKEN, OWNERS)
    return data


def place(folder: Path, *, named: bool = True, on_terminal: bool = False, **rest: Any) -> Place:
    """A place whose folder is named, or is the default one of a user whose home is made for the test."""
    environment = {"HOME": str(folder.parent), **rest.pop("environment", {})}
    return Place(folder if named else None, environment=environment, on_terminal=on_terminal, **rest)


def refused(place: Place) -> Failure:
    with pytest.raises(Failure) as raised:
        token(place)
    assert raised.value.exit_code == NOT_AUTHORISED
    assert OWNERS not in raised.value.text()
    return raised.value


def test_the_owners_token_is_used_when_the_folder_is_named(folder: Path) -> None:
    assert token(place(folder)) == OWNERS
    by_variable = {"TEAMROOM_DATA": str(folder)}
    assert token(place(folder, named=False, environment=by_variable)) == OWNERS


def test_the_owners_token_of_the_default_folder_is_used_at_a_terminal_and_not_in_a_pipe(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: folder)
    assert token(place(folder, named=False, on_terminal=True)) == OWNERS
    assert "only at a terminal or if the folder is named" in refused(place(folder, named=False)).why


@pytest.mark.parametrize("variable", [*HARNESS_VARIABLES, "CODEX_SANDBOX", "CODEX_THREAD_ID", "CODEX_CI"])
def test_inside_a_harness_the_owners_token_is_never_used(folder: Path, variable: str) -> None:
    for on_terminal in (False, True):
        failure = refused(place(folder, on_terminal=on_terminal, environment={variable: "1"}))
        assert variable in failure.why
        assert "TEAMROOM_TOKEN" in failure.fix
    assert token(place(folder, environment={"CODEX_HOME": "/home/me/.codex", "EDITOR": "vi"})) == OWNERS


def test_inside_a_harness_an_agents_own_token_is_used(folder: Path, tmp_path: Path) -> None:
    mine = token_file(tmp_path / "mine", MINE)
    assert token(place(folder, environment={"CLAUDECODE": "1", "TEAMROOM_TOKEN": MINE})) == MINE
    assert token(place(folder, environment={"CLAUDECODE": "1"}, token_file=mine)) == MINE


@pytest.mark.parametrize("value", ["", " ", "two words", "tr_\x1b[31m", "tr_é"])
def test_a_token_variable_without_a_token_never_falls_back_to_the_owner(folder: Path, value: str) -> None:
    failure = refused(place(folder, on_terminal=True, environment={"TEAMROOM_TOKEN": value}))
    assert failure.why == "TEAMROOM_TOKEN contains no token."


def test_a_token_file_overrides_the_variable_and_the_variable_overrides_the_owner(folder: Path, tmp_path: Path) -> None:
    mine = token_file(tmp_path / "mine", MINE)
    other = {"TEAMROOM_TOKEN": "tr_" + "2" * 64}
    assert token(place(folder, token_file=mine, environment=other)) == MINE
    assert token(place(folder, environment=other)) == other["TEAMROOM_TOKEN"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_token_file_that_others_can_use_is_tightened(
    folder: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder / OWNER_TOKEN
    path.chmod(mode)
    assert token(place(folder)) == OWNERS
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"{path} could be used by other users of this machine (mode {mode:03o})." in caplog.text


def test_a_token_file_that_is_missing_or_not_text_is_refused(folder: Path, tmp_path: Path) -> None:
    assert "There is no token file" in refused(place(folder, token_file=tmp_path / "nowhere")).why
    binary = tmp_path / "binary"
    binary.write_bytes(bytes(range(256)))
    binary.chmod(0o600)
    assert "cannot be read" in refused(place(folder, token_file=binary)).why


def test_connect_takes_the_members_own_token_and_never_the_owners(folder: Path) -> None:
    with pytest.raises(Failure, match=r"contains no token of builder") as raised:
        member_token(place(folder, on_terminal=True), "builder")
    assert "teamroom enroll builder --save" in raised.value.fix
    (folder / "members").mkdir(mode=0o700)
    token_file(folder / "members" / "builder.token", MINE)
    assert member_token(place(folder), "builder") == MINE
    assert member_token(place(folder, environment={"CLAUDECODE": "1"}), "builder") == MINE


@pytest.mark.parametrize("name", ["../owner", "a/b", "", ".", "..", "-x", "x" * 33])
def test_a_name_that_is_a_path_out_of_the_folder_of_members_is_refused(folder: Path, name: str) -> None:
    (folder / "members").mkdir(mode=0o700)
    with pytest.raises(Failure, match="is not a valid member name"):
        member_token(place(folder), name)


async def test_the_real_shell_inside_an_agents_session_is_not_the_owner(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
        inside = shell.with_(CLAUDECODE="1")
        before = len(room.entries())
        refused = await inside.process("pause", "olga", "--reason", "I am the owner now")
        assert refused.code == NOT_AUTHORISED
        assert "CLAUDECODE is set" in refused.err
        assert len(room.entries()) == before
        assert (await shell.process("roster", "--json")).code == 0

        await room.enroll("builder")
        agent = await inside.with_(TEAMROOM_TOKEN=room.tokens["builder"]).here("pause", "olga", "--reason", "no")
        assert agent.code == NOT_AUTHORISED
        assert "Refused (not_allowed)" in agent.err


def test_no_command_takes_a_token_as_an_argument_where_ps_would_show_it() -> None:
    import typer.main

    from teamroom.clients.shell.main import app

    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        for parameter in command.params:
            assert parameter.name != "token", f"{name} takes a token as an argument"
            assert "--token" not in parameter.opts
