"""Addresses of channels that people add: one private file has them, and nothing else does."""

import contextlib
import json
import os
import re
import socket
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from teamroom.server.acts.letters.channels import Notify
from teamroom.server.notify import guard
from teamroom.server.notify.addresses import AddressFile, read_addresses
from teamroom.server.notify.channels import is_understood
from teamroom.server.notify.deliver import NO_ADDRESS, NOT_PUBLIC
from teamroom.server.rules import addresses
from teamroom.server.rules.addresses import OWN_KINDS, Address, KeptAddress, fault_of, is_public
from tests.campaigns.invariants import rows
from tests.house.test_canaries import call, sent
from tests.support.bounds import BOUND_SECONDS
from tests.support.plain_http import WITHOUT_TLS
from tests.support.promises import promise
from tests.support.receivers import Receiver, receiver
from tests.support.room_in_thread import logged
from tests.support.rooms import RunningRoom, Time, running_room
from tests.support.shells import Shell, up

pytestmark = promise("ID4")

OPEN: dict[str, Any] = {"notify_private": True, "notify_digest": "", "notify_group_seconds": 0}

SECRET = "hunter2-0f5c83d1"
"""What no file but one may contain."""


@pytest.fixture
def phone() -> Iterator[Receiver]:
    """Olga's."""
    with receiver() as found:
        yield found


def secret_of(phone: Receiver, more: str = "") -> str:
    """An address of a receiver, with a password."""
    return phone.url.replace("json://", f"json://olga:{SECRET}{more}@")


def kept(folder: Path) -> dict[str, str]:
    return read_addresses(folder).addresses


def shell_of(room: RunningRoom) -> Shell:
    return Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})


def tainted(folder: Path) -> list[str]:
    """The files below a folder with the secret in any of their bytes."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(str(path.relative_to(folder)) for path in found if SECRET.encode() in path.read_bytes())


# ------------------------------------------------------------------ nowhere else


@pytest.mark.parametrize("form", ["plain", "json"])
def test_an_address_is_in_its_private_file_alone_whatever_becomes_of_the_call(
    tmp_path: Path, phone: Receiver, form: str
) -> None:
    """Added, repeated, refused, tested, failed, removed: with the log at its most talkative, and then a backup."""
    log = {"TEAMROOM_LOG_FORMAT": form, "TEAMROOM_LOG_LEVEL": "debug"}
    phone.status = 403
    with up(tmp_path / "room", "--owner", "olga", TEAMROOM_NOTIFY_PRIVATE="1", **log) as room:
        owner = (room.folder / "owner.token").read_text().strip()
        agent = room.shell.now("enroll", "builder", "--json").json["token"]
        said = [
            called(room.url, token, request_id, **arguments)
            for token in (owner, agent)
            for request_id in (None, "once", "once")
            for arguments in ways(secret_of(phone))
        ]
        shell = room.shell
        said.append(shell.run("letters", "channel", "add", stdin=f"{secret_of(phone, 'x')}\n"))
        said.append(shell.run("letters", "channel", "add", stdin=f"syslog://{SECRET}\n"))
        said.append(shell.now("letters", "test", "--json"))
        assert phone.tries > 0
        said += [shell.now(*words) for words in LOOKS]
        metrics = httpx2.get(
            f"{room.url}/metrics", verify=WITHOUT_TLS, headers={"Authorization": f"Bearer {owner}"}, trust_env=False
        )
        assert shell.now("backup").code == 0
        assert "channels.json" in tainted(room.folder), "the twin: the search finds it where it is kept"
        assert tainted(room.folder) == ["channels.json"]
        numbers = re.findall(r"channel (\d+)", shell.now("letters").out)
        assert len(numbers) == 2
        said += [shell.now("letters", "channel", "remove", number) for number in numbers]
        assert kept(room.folder) == {}
        assert tainted(room.folder) == []
        room.stop()
        assert room.process.stdout is not None
        written = room.process.stdout.read() + metrics.text + "".join(map(str, said))
    assert "json" in written
    assert SECRET not in written


LOOKS = (
    *(("doctor", "--json"), ("doctor",), ("notify", "--json"), ("notify",), ("letters",), ("letters", "--json")),
    *(("stream",), ("receipts", "--json", "--limit", "100"), ("overnight",), ("inbox",), ("verify",)),
)


def ways(address: str) -> Iterator[dict[str, Any]]:
    """Calls with an address: rightly, for somebody else, next to what is refused, and in wrong places."""
    yield {"add_channel": address}
    yield {"add_channel": address, "quiet": "late"}
    yield {"add_channel": address, "remove_channel": 99}
    yield {"add_channel": address, "name": "builder"}
    yield {"add_channel": [address]}
    yield {"add_channel": {"url": address}}
    yield {"add_channel": address + "x" * 2000}
    yield {"addChannel": address, "add_channel": f"{address}other"}
    yield {"add_chanel": address}
    yield {"name": address[:40]}
    yield {"quiet": address, "zone": address}
    yield {"remove_channel": address}
    yield {"add_channel": f"nowhere://{SECRET}"}
    yield {"add_channel": f"{SECRET}://x"}
    yield {"add_channel": SECRET}
    yield {"add_channel": f"json://{SECRET}@[::1"}
    yield {"add_channel": f"{address} {SECRET}"}


def called(url: str, token: str, request_id: str | None, **arguments: Any) -> str:
    """What the room answers to a call of `notify`, as text."""
    meta = {} if request_id is None else {"teamroom/request-id": f"{request_id}-{len(json.dumps(arguments))}"}
    return call(url, token, sent("notify", arguments, meta)).text


async def test_an_address_in_a_repeated_call_is_kept_once_and_another_one_is_a_conflict(
    tmp_path: Path, phone: Receiver
) -> None:
    async with running_room(tmp_path / "room", **OPEN) as room:
        owner = await room.owner()
        first = await owner("notify", request_id="a", add_channel=secret_of(phone))
        again = await owner("notify", request_id="a", add_channel=secret_of(phone))
        assert (again["receipt"], again["added"], again["replayed"] is not None) == (first["receipt"], 1, True)
        other = await owner.said("notify", request_id="a", add_channel=secret_of(phone, "other"))
        assert (other[2], other[0]["code"]) == (True, "conflict")
        assert list(kept(room.folder).values()) == [secret_of(phone)]
        assert len(rows(room.folder, "select * from channel")) == 1


@given(st.text(max_size=40))
def test_an_address_prints_and_serialises_without_itself(secret: str) -> None:
    given = Notify.model_validate({"add_channel": f"json://olga:{SECRET}{secret}@example.org/"})
    shown = (repr(given), str(given.add_channel), f"{given.add_channel}", given.model_dump_json(), to_json(given))
    assert SECRET not in "".join(map(str, shown))
    assert repr(KeptAddress("json", "m", "digest")) == "Address(digest)"


# ------------------------------------------------------------------ the file


async def test_the_file_is_private_and_a_link_in_its_place_is_refused(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", **OPEN) as room:
        owner = await room.owner()
        await owner("notify", add_channel=phone.url)
        file = room.folder / "channels.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.rename(tmp_path / "elsewhere")
        os.symlink(tmp_path / "elsewhere", file)
        with logged() as complaints:
            refused = await owner.refused("notify", add_channel=f"{phone.url}other")
        assert refused["code"] == "storage"
        assert len(complaints.lines) == 1
        assert str(phone.port) not in complaints.lines[0]
        assert len(rows(room.folder, "select * from channel")) == 1
        await owner("notify", name="olga")
        await room.delivered()
        assert phone.tries == 0
        done = await shell_of(room).here("doctor", "--json")
        (found,) = [c for c in done.json["checks"] if c["about"] == "notify" and c["level"] == "problem"]
        assert "is a symbolic link" in found["found"]


async def test_an_address_without_a_channel_is_removed_at_the_next_start(tmp_path: Path, phone: Receiver) -> None:
    """As a crash leaves it between the file and the commit."""
    async with running_room(tmp_path / "room", **OPEN) as room:
        owner = await room.owner()
        await owner("notify", add_channel=phone.url)
        file = AddressFile(room.folder, os.urandom, is_private_allowed=True)
        await file.keep(2, Address(secret_of(phone)))
        assert len(kept(room.folder)) == 2
    async with running_room(tmp_path / "room", **OPEN) as room:
        assert list(kept(room.folder).values()) == [phone.url]
        await (await room.owner())("notify", name="olga")
        await room.delivered()
        assert phone.titles == ["[Teamroom] test"], "a channel survives a restart"


async def test_a_channel_whose_address_is_missing_is_named_and_can_be_added_again(
    tmp_path: Path, phone: Receiver
) -> None:
    """As in a room that was restored in another folder: a backup has no address."""
    async with running_room(tmp_path / "room", **OPEN) as room:
        owner = await room.owner()
        await owner("notify", add_channel=phone.url)
        (room.folder / "channels.json").unlink()
        await owner("notify", name="olga")
        await room.delivered()
        assert rows(room.folder, "select state, reason from delivery")[0][:] == ("failed", NO_ADDRESS)
        done = await shell_of(room).here("doctor", "--json")
        (found,) = [c for c in done.json["checks"] if c["about"] == "notify"]
        assert (found["level"], found["fix"]) == (
            "problem",
            "Tell @olga to remove channel 1 and to add it again.",
        )
        await owner("notify", remove_channel=1)
        assert (await owner("notify", add_channel=phone.url))["added"] == 2, "a number is never used again"
        await owner("notify", name="olga")
        await room.delivered()
        assert phone.titles == ["[Teamroom] test"]


async def test_a_restored_room_keeps_its_channels_and_their_addresses(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", **OPEN) as room:
        await (await room.owner())("notify", add_channel=phone.url)
        shell = shell_of(room)
        assert (await shell.here("backup")).code == 0
        offset = room.time.offset
    (backup,) = (tmp_path / "room" / "backups").glob("*.db")
    assert shell.now("restore", str(backup)).code == 0
    async with running_room(tmp_path / "room", time=Time(offset), **OPEN) as room:
        await (await room.owner())("notify", name="olga")
        await room.delivered()
        assert phone.titles == ["[Teamroom] test"]


async def test_a_removed_channel_gets_nothing_of_what_was_on_its_way(tmp_path: Path, phone: Receiver) -> None:
    phone.status = 503
    async with running_room(tmp_path / "room", **OPEN) as room:
        owner = await room.owner()
        (builder,) = await room.enroll("builder")
        await owner("notify", add_channel=phone.url)
        await builder("post_message", text="which registry?", to=["olga"], kind="ask")
        await room.later(1)
        assert phone.tries == 1
        await owner("notify", remove_channel=1)
        assert rows(room.folder, "select state from delivery")[0][0] == "left out"
        await room.later(3600)
        assert (phone.tries, kept(room.folder)) == (1, {})


@promise("SAF3")
async def test_a_person_has_at_most_four_channels_of_her_own_and_none_twice(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", **OPEN) as room:
        owner = await room.owner()
        (hanna,) = await room.enroll("hanna", kind="human")
        for number in range(4):
            await owner("notify", add_channel=f"{phone.url}{number}")
        before = kept(room.folder)
        refused = await owner.refused("notify", add_channel=f"{phone.url}4")
        assert (refused["code"], "can have 4" in refused["why"]) == ("too_large", True)
        refused = await owner.refused("notify", add_channel=f"{phone.url}3")
        assert (refused["code"], refused["why"]) == ("conflict", "Channel 4 (json) has this address already.")
        assert kept(room.folder) == before, "what was refused is not kept"
        await hanna("notify", add_channel=f"{phone.url}3")
        assert len(kept(room.folder)) == 5, "two people may share an address"
        await owner("notify", remove_channel=4)
        await hanna("notify", name="hanna")
        await room.delivered()
        assert phone.tries == 1, "each has it under another name in the file"


async def test_channels_of_the_servers_settings_stay_and_only_the_settings_change_them(
    tmp_path: Path, phone: Receiver
) -> None:
    """A room of an earlier release keeps working."""
    with receiver() as configured:
        settings = {**OPEN, "notify": {"olga": [configured.url]}}
        async with running_room(tmp_path / "room", **settings) as room:
            owner = await room.owner()
            added = await owner("notify", add_channel=phone.url)
            assert (added["added"], added["channels"]) == (1, ["json", "json"])
            await owner("notify", name="olga")
            await room.delivered()
            assert (configured.tries, phone.tries) == (1, 1)
            reply = json.loads((await owner.client.read_resource("teamroom://channels")).contents[1].text)
            assert [channel["number"] for channel in reply["people"][0]["channels"]] == [0, 1]
            await owner("notify", remove_channel=1)
            refused = await owner.refused("notify", remove_channel=1)
            assert "room.toml" in refused["fix"]
            await owner("notify", name="olga")
            await room.delivered()
            assert (configured.tries, phone.tries) == (2, 1)


# ------------------------------------------------------------------ where the server may be led


PRIVATE = (
    *("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    *("ff02::1", "example.org", "", "2130706433", "127.1"),
)


@pytest.mark.parametrize("host", PRIVATE)
def test_what_is_not_clearly_a_public_address_is_not_public(host: str) -> None:
    assert not is_public(host)


def test_public_addresses_are_public() -> None:
    assert all(map(is_public, ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e")))


@promise("SAF2")
async def test_a_name_that_leads_to_this_machine_reaches_nothing(
    tmp_path: Path, phone: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo

    def lying(host: Any, *more: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if host == "phone.example.org" else host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lying)
    address = phone.url.replace("127.0.0.1", "phone.example.org")
    async with running_room(tmp_path / "room", notify_digest="") as room:
        owner = await room.owner()
        await owner("notify", add_channel=address)
        await owner("notify", name="olga")
        await room.delivered()
        assert rows(room.folder, "select state, reason from delivery")[0][:] == ("failed", NOT_PUBLIC)
        assert phone.tries == 0
    async with running_room(tmp_path / "room", **OPEN) as room:
        await (await room.owner())("notify", name="olga")
        await room.delivered()
        assert phone.tries == 1, "the twin: the setting allows it, and the same address is reached"


@promise("SAF2")
async def test_a_public_service_that_redirects_into_a_private_network_reaches_nothing(
    tmp_path: Path, phone: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service is on this machine too, so this address alone counts as public here."""
    monkeypatch.setattr(guard, "is_public", lambda host: host == "127.0.0.1")
    with redirecting(f"http://127.0.0.2:{phone.port}/") as port:
        async with running_room(tmp_path / "room", notify_digest="") as room:
            owner = await room.owner()
            monkeypatch.setattr(addresses, "is_private_host", lambda host: False)
            await owner("notify", add_channel=f"json://127.0.0.1:{port}/")
            await owner("notify", name="olga")
            await room.delivered()
            assert rows(room.folder, "select state, reason from delivery")[0][:] == ("failed", NOT_PUBLIC)


@contextlib.contextmanager
def redirecting(to: str) -> Iterator[int]:
    """A service that sends every caller somewhere else; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(307)
            self.send_header("location", to)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    serving.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        serving.join(BOUND_SECONDS)


def test_the_guard_judges_only_the_thread_that_asked_for_it(phone: Receiver) -> None:
    def connect() -> str:
        socket.create_connection(("127.0.0.1", phone.port), BOUND_SECONDS).close()
        return "connected"

    def try_it() -> str:
        try:
            return connect()
        except PermissionError:
            return "refused"

    assert guard.to_public_addresses(try_it, "stopped") == "stopped"
    assert connect() == "connected"


@pytest.mark.parametrize("kind", sorted(OWN_KINDS))
def test_apprise_knows_every_kind_that_people_may_add(kind: str) -> None:
    from apprise.manager_plugins import NotificationManager

    manager = NotificationManager()
    manager.load_modules()
    assert kind in manager.schemas()


def test_an_address_that_apprise_does_not_understand_is_no_channel() -> None:
    assert fault_of("json://example.org/", False) == ""
    assert is_understood("json://example.org/")
    assert not is_understood("slack://x")
