"""A room in PostgreSQL as a person starts it: `teamroom up --database`, further servers, and what is never shown."""

import contextlib
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from psycopg import Capabilities, pq

from teamroom.clients.local.check_database import check_database
from teamroom.clients.session.place import Place
from teamroom.server.settings import Settings, shown
from teamroom.server.store.postgres import connect
from teamroom.server.store.postgres.address import Address, AddressError
from tests.support import postgres
from tests.support.promises import house, promise
from tests.support.shells import TEAMROOM, Shell, up
from tests.support.watching import until

SECRET = "a-password-nobody-sees"


@pytest.fixture
def address() -> Iterator[str]:
    """The address of an empty database."""
    postgres.require_server()
    yield postgres.address_at(postgres.make_database())
    postgres.drop_databases()


@pytest.mark.postgres
@promise("CTL2")
def test_two_servers_in_processes_of_their_own_are_one_room(tmp_path: Path, address: str) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with up(first, "--database", address, "--owner", "olga") as one:
        enrolled = one.shell.now("enroll", "builder", "--json")
        assert enrolled.code == 0, enrolled.err
        second.mkdir(mode=0o700)
        shutil.copy(first / "room.key", tmp_path / "copy.key")
        with up(second, "--key-file", str(tmp_path / "copy.key"), TEAMROOM_DATABASE=address) as two:
            there = Shell(tmp_path).with_(TEAMROOM_URL=two.url, TEAMROOM_TOKEN=enrolled.json["token"])
            assert there.now("post", "hello from the other server").code == 0
            assert one.shell.now("pause", "builder", "--reason", "look").code == 0
            refused = there.now("post", "again")
            assert "paused" in refused.err
            assert "hello from the other server" in one.shell.now("stream").out
            assert two.stop()[0] == 0
        assert one.stop()[0] == 0


@house
@pytest.mark.postgres
def test_the_doctor_knows_the_database(tmp_path: Path, address: str) -> None:
    place = Place(tmp_path / "room", environment={"TEAMROOM_DATABASE": address})
    (found, servers, clock) = check_database(place)
    assert found.level != "problem"
    assert "answers in" in found.found
    assert servers.found == "No server has the room open."
    assert "differs by" in clock.found
    nowhere = Place(tmp_path / "room", environment={"TEAMROOM_DATABASE": "postgresql://x:secret@127.0.0.1:1/x"})
    (lost,) = check_database(nowhere)
    assert lost.level == "problem"
    assert "secret" not in lost.found + lost.fix
    assert list(check_database(Place(tmp_path / "room", environment={}))) == []


@house
def test_the_doctor_says_once_that_the_database_cannot_be_reached(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    folder.mkdir(mode=0o700)
    nowhere = {"TEAMROOM_DATABASE": "postgresql://x:secret@127.0.0.1:1/x"}
    found = Shell(tmp_path).with_(**nowhere).now("doctor", "--data", str(folder), "--json").json
    (unread,) = [check["found"] for check in found["checks"] if "cannot be read" in check["found"]]
    assert unread.endswith("these could not be checked: settings, tokens, notify, log.")
    assert found["settings"]["database"]["value"] == "postgresql://x@127.0.0.1:1/x"


@house
@pytest.mark.postgres
def test_the_doctor_shows_the_servers_and_what_each_does(tmp_path: Path, address: str) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with (
        up(first, "--database", address, "--owner", "olga") as one,
        up(second, "--key-file", str(first / "room.key"), TEAMROOM_DATABASE=address) as two,
    ):
        place = Place(first, environment={"TEAMROOM_DATABASE": address})
        ports = [running.url.rpartition(":")[2] for running in (one, two)]

        def shown() -> str:
            return next(finding.found for finding in check_database(place) if finding.about == "servers")

        until(lambda: "letters" in shown() and all(f":{port}/" in shown() for port in ports), "both servers are shown")
        assert shown().startswith("2 have the room open: ")
        assert "seen " in shown()
        for server in (one, two):
            server.process.kill()
        until(lambda: shown() == "No server has the room open.", "the servers are gone")


@house
@pytest.mark.postgres
def test_a_room_in_a_database_verifies_as_it_runs_and_the_doctor_misses_no_file(tmp_path: Path, address: str) -> None:
    with up(tmp_path / "room", "--database", address) as running:
        shell = running.shell.with_(TEAMROOM_DATABASE=address)
        found = shell.now("doctor", "--json").json
        assert [check for check in found["checks"] if check["level"] == "problem"] == []
        assert {"clock", "tokens", "log", "database"} <= {check["about"] for check in found["checks"]}
        assert shell.now("policy", "wip_cap", "7").code == 0
        found = shell.now("doctor", "--json").json
        assert found["settings"]["wip_cap"] == {"value": 7, "origin": "policy"}
        verified = shell.now("verify", "--json")
        assert (verified.code, verified.json["rebuilt"] != {}) == (0, True)
        backed_up = shell.now("backup")
        assert "PostgreSQL's own tools" in backed_up.err
        assert running.shell.now("verify").code == 1, "without the setting, there is no room in the folder"
        running.stop()
    recovered = shell.now("recover")
    assert recovered.code == 0, recovered.err


@house
@pytest.mark.postgres
def test_a_folder_with_a_room_in_one_file_is_not_used_for_a_room_in_a_database(tmp_path: Path, address: str) -> None:
    with up(tmp_path / "room"):
        pass
    failed = Shell(tmp_path).now("up", "--data", str(tmp_path / "room"), "--port", "0", "--database", address)
    assert failed.code != 0
    assert "teamroom copy" in failed.err


@promise("ID4")
def test_a_password_in_an_address_is_never_shown(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"postgresql://teamroom:{SECRET}@127.0.0.1:{closed.getsockname()[1]}/room"
        shell = Shell(tmp_path).with_(TEAMROOM_DATABASE=address)
        failed = shell.now("up", "--data", str(tmp_path / "room"), "--port", "0")
    assert failed.code != 0
    assert "127.0.0.1" in failed.err
    assert SECRET not in failed.err + failed.out
    assert SECRET not in shell.now("doctor", "--data", str(tmp_path / "room"), "--json").out
    for path in (tmp_path / "room").rglob("*"):
        assert path.is_dir() or SECRET not in path.read_text(errors="replace")
    parsed = Address.parse(address)
    assert SECRET not in f"{parsed} {parsed!r}"
    assert SECRET not in str(Settings(database=address))
    assert shown("database", Settings(database=address).database) == address.replace(f":{SECRET}", "")
    with pytest.raises(AddressError) as wrong:
        Address.parse(f"postgresql://teamroom:{SECRET}@host/%zz")
    assert SECRET not in str(wrong.value)
    with pytest.raises(AddressError, match="%40") as wrong:
        Address.parse(f"postgresql://teamroom:first@{SECRET}@host/room")
    assert SECRET not in str(wrong.value)


@promise("ID4")
@pytest.mark.parametrize("before", ["", "a/", "a?", "a#", "a@", "[", "1/", "a:"])
def test_a_password_with_signs_of_an_address_is_never_shown(before: str) -> None:
    text = f"postgresql://teamroom:{before}{SECRET}@host/room"
    assert SECRET not in shown("database", Settings(database=text).database)
    with contextlib.suppress(AddressError):
        assert SECRET not in str(Address.parse(text))


@house
@pytest.mark.parametrize("place", ["db/room", "teamroom@db:5432/room", "one@[::1]:5432,two:1/room", "/room"])
def test_an_address_without_a_password_is_shown_as_it_is(place: str) -> None:
    address = f"postgresql://{place}"
    assert shown("database", Settings(database=f"{address}?options=-csearch_path%3Da").database) == address


@house
@pytest.mark.postgres
def test_a_detached_server_gets_its_database_and_its_key_and_shows_no_password(tmp_path: Path, address: str) -> None:
    """The key file is named relative to the folder in which the command runs; the server runs elsewhere."""
    first, second, shell = tmp_path / "first", tmp_path / "second", Shell(tmp_path)
    with up(first, "--database", address, "--owner", "olga") as one:
        shutil.copy(first / "room.key", tmp_path / "copy.key")
        second.mkdir(mode=0o700)
        options = {"data": "second", "key-file": "copy.key", "database": address, "port": "0"}
        words = [TEAMROOM, "up", "--detach", "--json", *(f"--{name}={value}" for name, value in options.items())]
        done = subprocess.run(words, cwd=tmp_path, env=shell.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        try:
            assert (second / "room.key").read_bytes() == (first / "room.key").read_bytes()
            assert address not in " ".join(psutil.Process(json.loads(done.stdout)["process"]).cmdline())
            there = Shell(tmp_path).with_(TEAMROOM_URL=json.loads(done.stdout)["url"])
            there = there.with_(TEAMROOM_TOKEN=(first / "owner.token").read_text().strip())
            assert there.now("post", "through the other server").code == 0
            assert "through the other server" in one.shell.now("stream").out
        finally:
            assert shell.now("down", "--data", str(second)).code == 0


@house
@pytest.mark.postgres
def test_a_database_without_a_room_is_named_and_no_file_is(tmp_path: Path, address: str) -> None:
    (tmp_path / "room").mkdir(mode=0o700)
    found = Shell(tmp_path).with_(TEAMROOM_DATABASE=address).now("verify", "--data", str(tmp_path / "room"))
    assert found.code == 1
    assert "The database at postgresql://" in found.err
    assert "room.db" not in found.err


@house
def test_an_option_that_is_no_address_is_named_and_not_shown(tmp_path: Path) -> None:
    words = ("up", "--data", str(tmp_path / "room"), "--port", "0", "--database", f"mysql://x:{SECRET}@y/z")
    failed = Shell(tmp_path).now(*words)
    assert failed.code != 0
    assert "database" in failed.err
    assert SECRET not in failed.err


@house
@pytest.mark.postgres
def test_a_libpq_that_cannot_cancel_without_blocking_is_refused(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pq, "version", lambda: 150_000)
    monkeypatch.setattr(connect, "capabilities", Capabilities())
    refused = Shell(tmp_path).now("up", "--data", str(tmp_path / "room"), "--port", "0", "--database", address)
    assert refused.code == 1
    assert "libpq version 17" in refused.err
