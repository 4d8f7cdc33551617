"""Another program on the room's port: none of the room's clients sends it a token, whatever it answers."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
import typer.main

from teamroom.clients.session import handshake
from teamroom.clients.session.blocking import BlockingRoom
from teamroom.clients.session.connection import Connection
from teamroom.clients.session.failure import NOT_AUTHORISED, Failure, UnprovenError, UnreachableError
from teamroom.clients.session.handshake import Handshake
from teamroom.clients.session.protocol import token_headers
from teamroom.clients.session.room import Room
from teamroom.clients.session.streams import TOKENS, http_client
from teamroom.clients.shell.main import app
from teamroom.server.own_socket import SOCKET
from tests.support.bounds import BOUND_SECONDS
from tests.support.impostors import RESULT, Answers, Taken, http, is_challenge, proof_for, relaying, taking
from tests.support.promises import promise
from tests.support.repository import ROOT
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import STEP_SECONDS, TEAMROOM, Shell, leaves, up
from tests.support.watching import until

pytestmark = promise("SAF1")

TOKEN = "tr_" + "5e" * 32

LOCAL = frozenset(
    {
        *("up", "demo", "down", "status", "service", "verify", "seal", "backup", "copy", "restore", "recover", "help"),
        *("completion", "gate", "leave"),
    }
)
"""Commands that call no room. The gate, which says in its own form why it did not ask, has a test in `test_gate`."""

PROCESSES = frozenset({"connect", "listen", "watch"})
"""Commands that run until something ends them."""

TOKEN_FILES = {name: f"members/{who}.token" for name, who in
               (("connect", "builder"), ("listen", "builder"), ("watch", "watcher"))}  # fmt: skip
"""The token of each command that does not run as the owner."""

FRAME = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}) + "\n"

SUBCOMMANDS: dict[str, tuple[str, ...]] = {
    "add": ("x",),
    "assign": ("T-1", "builder"),
    "block": ("T-1", "x"),
    "cancel": ("T-1",),
    "edit": ("T-1", "--title", "x"),
    "note": ("T-1", "x"),
    "release": ("T-1",),
}
"""The subcommands of `task`."""

WORDS: dict[str, tuple[str, ...]] = {
    "authorize": ("builder", "deploy:staging"),
    "attest": ("builder", "repo:acme/api"),
    "ask": ("builder", "x"),
    "backup": (),
    "board": (),
    "claim": (),
    "completion": ("bash",),
    "copy": ("--from", "{folder}/room", "--to", "{folder}/other"),
    "connect": ("--as", "builder"),
    "decide": ("D-1", "yes"),
    "demo": ("--speed", "0", "--data", "{folder}/room"),
    "sign-in": (),
    "doctor": ("--drill",),
    "done": ("T-1", "x"),
    "down": (),
    "enroll": ("another",),
    "export": (),
    "gate": ("--format", "claude", "--as", "builder"),
    "handoff": ("O-1", "accept"),
    "help": (),
    "import": ("{folder}/tasks.md",),
    "inbox": (),
    "join": ("claude", "--yes"),
    "kill": ("builder", "--yes", "--reason", "x"),
    "leave": (),
    "letters channel add": ("--file", "{folder}/address"),
    "letters channel remove": ("1",),
    "letters set": ("--quiet", "22:00-07:00"),
    "letters show": (),
    "letters test": (),
    "listen": ("--as", "builder", "--", "true"),
    "notify": ("olga",),
    "overnight": (),
    "pause": ("builder", "--reason", "x"),
    "plant": (),
    "policy": (),
    "post": ("x",),
    "read": ("M-1",),
    "receipts": (),
    "recover": ("nobody",),
    "redact": ("M-1", "--reason", "x"),
    "reply": ("M-1", "x"),
    "restore": ("nothing.db",),
    "resume": ("builder", "--reason", "x"),
    "review": ("T-1", "accept", "x"),
    "revoke": ("builder",),
    "roster": (),
    "rules": (),
    "seal": (),
    "service": ("install", "--for", "systemd"),
    "snooze": ("T-1", "2h"),
    "status": (),
    "stream": (),
    **{f"task {name}": words for name, words in SUBCOMMANDS.items()},
    "up": (),
    "verify": (),
    "watch": ("--once", "--as", "watcher", "--config", "{folder}/runtimes.toml"),
}
"""Each command with what it needs to get as far as the room."""


@dataclass
class Abandoned:
    """A room whose server was killed, and the program that has its port now."""

    folder: Path
    taken: Taken
    tokens: list[str]

    @property
    def shell(self) -> Shell:
        return Shell(self.folder.parent, {"TEAMROOM_DATA": str(self.folder)})


@pytest.fixture(scope="module")
def abandoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Abandoned]:
    folder = tmp_path_factory.mktemp("abandoned") / "room"
    (folder.parent / "tasks.md").write_text("- [ ] a task\n")
    (folder.parent / "address").write_text("ntfy://ntfy.example.org/topic\n")
    (folder.parent / "runtimes.toml").write_text('[runtime.builder]\nstart = ["true"]\n')
    with up(folder, "--owner", "olga") as room:
        for words in (("builder",), ("watcher", "--role", "watchdog")):
            assert room.shell.now("enroll", *words, "--save").code == 0
        tokens = [(folder / name).read_text().strip() for name in ("owner.token", *TOKEN_FILES.values())]
        room.process.send_signal(signal.SIGKILL)
        room.process.wait(STEP_SECONDS)
    assert (folder / SOCKET).exists(), "the server left its socket and its address behind"
    with taking(int(room.url.rpartition(":")[2])) as taken:
        yield Abandoned(folder, taken, tokens)


@pytest.mark.parametrize("named_by", ["folder", "address"])
def test_no_command_sends_a_token_to_the_program_that_took_the_rooms_port(abandoned: Abandoned, named_by: str) -> None:
    assert {*leaves(GROUP)} == set(WORDS), "give a new command its words here"
    shell, taken = abandoned.shell, abandoned.taken
    for name, words in WORDS.items():
        before = taken.challenges
        words = (*name.split(), *(word.format(folder=abandoned.folder.parent) for word in words))
        if named_by == "address" and name not in LOCAL:
            path = abandoned.folder / TOKEN_FILES.get(name, "owner.token")
            at = words.index("--") if "--" in words else len(words)
            words = (*words[:at], "--url", taken.url, "--token-file", str(path), *words[at:])
        done = shell.run(*words, stdin=FRAME) if name in PROCESSES else shell.now(*words)
        assert "Traceback" not in done.err, done.err
        if name not in LOCAL:
            assert taken.challenges > before, f"{name} never called the room"
            assert done.code in (1, NOT_AUTHORISED), (name, done)
            assert "did not prove that it knows your token" in done.out + done.err, (name, done)
        if name == "up":
            assert done.code == 1
            assert "another program" in done.err
            assert "teamroom enroll NAME --rotate" in done.err
    assert not [token for token in abandoned.tokens if taken.has_got(token)]


GROUP: Any = typer.main.get_command(app)
FOLLOWERS = [name for name, one in GROUP.commands.items() if any("--follow" in option.opts for option in one.params)]


@pytest.mark.parametrize("name", FOLLOWERS)
def test_no_followed_view_sends_a_token_to_the_program_that_took_the_rooms_port(
    abandoned: Abandoned, tmp_path: Path, name: str
) -> None:
    """Neither where it begins, nor where the room is killed while it is followed."""
    before = abandoned.taken.challenges
    begun = abandoned.shell.now(name, "--follow")
    assert (begun.code, "did not prove that it knows your token" in begun.err) == (NOT_AUTHORISED, True), begun
    assert abandoned.taken.challenges > before
    with up(tmp_path / "room", "--owner", "olga") as room:
        token = (tmp_path / "room" / "owner.token").read_text().strip()
        for words in (("task", "add", "one"), ("enroll", "builder"), ("pause", "builder")):
            assert room.shell.now(*words).code == 0
        with (
            (tmp_path / "shown").open("wb") as shown,
            subprocess.Popen(
                [TEAMROOM, name, "--follow"], env=room.shell.environment, stdout=shown, stdin=subprocess.DEVNULL
            ) as following,
        ):
            try:
                until(lambda: (tmp_path / "shown").stat().st_size > 0, "it shows something")
                room.process.send_signal(signal.SIGKILL)
                room.process.wait(STEP_SECONDS)
                with taking(int(room.url.rpartition(":")[2])) as taken:
                    until(lambda: taken.challenges > 0, "it asks who answers")
            finally:
                following.kill()
    assert not taken.has_got(token)
    assert not [token for token in abandoned.tokens if abandoned.taken.has_got(token)]


def test_a_client_that_believes_every_server_sends_it_the_token(
    abandoned: Abandoned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handshake, "receive", lambda self, data: True)
    with taking() as taken:
        abandoned.shell.now("board", "--url", taken.url, "--token-file", str(abandoned.folder / "owner.token"))
        assert taken.has_got(abandoned.tokens[0])
    for send in (by_room, by_the_python_client, by_http_client):
        with taking() as taken:
            with suppress(Failure):
                send(taken.url)
            assert taken.has_got(TOKEN), send.__name__


# ------------------------------------------------------------------ whatever it answers


def by_room(url: str) -> None:
    with BlockingRoom(f"{url}/mcp", TOKEN) as room:
        room.call("heartbeat")


def by_the_python_client(url: str) -> None:
    anyio.run(Room(url, TOKEN, patience_seconds=0).heartbeat)


def by_http_client(url: str) -> None:
    async def post() -> None:
        async with http_client(url, httpx2.Timeout(BOUND_SECONDS)) as client:
            try:
                await client.post(f"{url}/mcp", content=b"{}", headers=token_headers(TOKEN))
            except httpx2.TransportError as error:
                raise UnreachableError(url) from error

    anyio.run(post)


def endless(request: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 10_000


BAD_ANSWERS: dict[str, Answers] = {
    "nothing": lambda request: None,
    "no HTTP": lambda request: b"\x00\x01\r\n\r\n",
    "an older release": lambda request: http("{}", "404 Not Found") if is_challenge(request) else RESULT,
    "always success": lambda request: RESULT,
    "a page": lambda request: b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    "an answer without a length": lambda request: b'HTTP/1.1 200 OK\r\n\r\n{"proof": "0"}',
    "an answer before the next": lambda request: http("{}") + RESULT,
    "an endless head": endless,
    "an endless body": lambda request: b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n" + b"x" * 20_000,
    "the challenge itself": lambda request: http(json.dumps({"proof": request.decode()})),
    "another proof": lambda request: proof_for("tr_" + "0" * 64, request) if is_challenge(request) else RESULT,
    "no text": lambda request: http('{"proof": null}'),
    "a list": lambda request: http("[" * 500),
    "other letters": lambda request: http('{"proof": "\\u00e9"}'),
    "another place": lambda request: http("{}", "307 Temporary Redirect", "location: http://127.0.0.1:1/mcp\r\n"),
    "another address": lambda request: http("{}", "421 Misdirected Request"),
    "a pause": lambda request: http("{}", "503 Service Unavailable"),
    "a new protocol": lambda request: http("{}", "101 Switching Protocols"),
}


@pytest.mark.parametrize("answers", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_whatever_it_answers_it_gets_no_token(answers: Answers) -> None:
    with taking(answers=answers) as taken:
        for send in (by_room, by_the_python_client, by_http_client):
            with pytest.raises(Failure) as raised:
                send(taken.url)
            assert "you" in raised.value.why or isinstance(raised.value, UnreachableError)
            assert raised.value.fix
        assert taken.challenges == 3
        assert not taken.has_got(TOKEN)


def test_a_server_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "HANDSHAKE_SECONDS", 0.2)
    with taking(answers=lambda request: b"") as taken:
        for send in (by_room, by_the_python_client, by_http_client):
            with pytest.raises(UnreachableError):
                send(taken.url)
        assert not taken.has_got(TOKEN)


def test_a_server_of_an_earlier_release_is_named_as_one() -> None:
    with taking(answers=BAD_ANSWERS["an older release"]) as taken, pytest.raises(Failure) as raised:
        by_room(taken.url)
    assert "cannot prove that it is a room" in raised.value.why
    assert "upgrade it and start it again" in raised.value.fix


# ------------------------------------------------------------------ a program that passes everything on


def to_port(port: int, taken: Callable[[], int], pattern: str) -> Callable[[bytes], bytes]:
    """Change the relay's port to the room's in what a client sends, wherever the pattern has it."""

    def change(data: bytes) -> bytes:
        return data.replace(pattern.format(taken()).encode(), pattern.format(port).encode())

    return change


@dataclass
class Relayed:
    room: RunningRoom
    url: str = ""

    async def call(self) -> dict[str, Any]:
        def call() -> dict[str, Any]:
            with BlockingRoom(f"{self.url}/mcp", self.room.tokens["builder"]) as client:
                return client.call("heartbeat")

        return await anyio.to_thread.run_sync(call)


@pytest.fixture
async def relayed(room: RunningRoom) -> Relayed:
    await room.enroll("builder")
    return Relayed(room)


@pytest.mark.parametrize("pattern", ["{}", "Host: 127.0.0.1:{}"], ids=["every port", "the host alone"])
async def test_a_program_that_passes_the_challenge_on_gets_no_token(relayed: Relayed, pattern: str) -> None:
    port, found = relayed.room.room.settings.port, list[Taken]()
    with relaying(("127.0.0.1", port), to_port(port, lambda: found[0].port, pattern), at=("127.0.0.1", 0)) as taken:
        found.append(taken)
        relayed.url = taken.url
        with pytest.raises(Failure, match=r"did not prove that it knows|does not know this address"):
            await relayed.call()
        assert taken.challenges == 1
        assert not taken.has_got(relayed.room.tokens["builder"])


async def test_a_room_that_proves_itself_for_any_address_would_be_passed_on(
    relayed: Relayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Any_:
        def __contains__(self, address: object) -> bool:
            return True

    monkeypatch.setattr("teamroom.server.http.gate.own_addresses", lambda scope, settings: Any_())
    port, found = relayed.room.room.settings.port, list[Taken]()
    change = to_port(port, lambda: found[0].port, "Host: 127.0.0.1:{}")
    with relaying(("127.0.0.1", port), change, at=("127.0.0.1", 0)) as taken:
        found.append(taken)
        relayed.url = taken.url
        assert (await relayed.call())["standing"] == "active"
        assert taken.has_got(relayed.room.tokens["builder"])


async def test_the_same_port_of_another_address_of_this_machine_is_another_program(relayed: Relayed) -> None:
    port = relayed.room.room.settings.port
    try:
        with relaying(("127.0.0.1", port), bytes, at=("::1", port)) as taken:
            relayed.url = f"http://[::1]:{port}"
            with pytest.raises(Failure, match="does not know this address"):
                await relayed.call()
            assert not taken.has_got(relayed.room.tokens["builder"])
    except OSError:
        pytest.skip("this machine has no IPv6")


async def test_a_forwarded_address_that_the_owner_named_is_the_rooms(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with running_room(tmp_path / "room", allowed_hosts=[f"127.0.0.1:{port}"]) as room:
        await room.enroll("builder")
        with relaying(("127.0.0.1", room.room.settings.port), bytes, at=("127.0.0.1", port)) as forward:
            assert (await Relayed(room, forward.url).call())["standing"] == "active"


# ------------------------------------------------------------------ each connection, each token


def test_every_connection_begins_with_a_handshake() -> None:
    def answers(request: bytes) -> bytes:
        """Know the token, and close the connection after each answer, as a server does that stops."""
        return proof_for(TOKEN, request) if is_challenge(request) else RESULT.replace(b"\r\n\r\n", CLOSES)

    with taking(answers=answers) as taken:
        with BlockingRoom(f"{taken.url}/mcp", TOKEN) as room:
            for _ in range(3):
                room.call("heartbeat")
        assert len(taken.received) == 3
        assert all(is_challenge(bytes(data)) for data in taken.received)
    with taking(answers=lambda request: proof_for(TOKEN, request) if is_challenge(request) else RESULT) as taken:
        with BlockingRoom(f"{taken.url}/mcp", TOKEN) as room:
            for _ in range(3):
                room.call("heartbeat")
        assert (len(taken.received), taken.challenges) == (1, 1), "the twin: one connection, one handshake"


CLOSES = b"\r\nconnection: close\r\n\r\n"


def test_a_connection_carries_only_the_token_that_was_proven() -> None:
    other = "tr_" + "07" * 32

    def answers(request: bytes) -> bytes:
        return proof_for(TOKEN, request) if is_challenge(request) else RESULT

    with taking(answers=answers) as taken:
        with Connection(f"{taken.url}/mcp") as connection:
            assert connection.get("/healthz").is_success
            assert connection.post(b"{}", token_headers(TOKEN)).is_success
            with pytest.raises(UnprovenError):
                connection.post(b"{}", token_headers(other))
            assert connection.post(b"{}", {"authorization": f"Bearer {TOKEN}"}).is_success, "in any spelling"

        async def post() -> None:
            async with http_client(taken.url, httpx2.Timeout(BOUND_SECONDS)) as client:
                for token in (TOKEN, *(f"tr_{number:064x}" for number in range(TOKENS + 1))):
                    with suppress(UnprovenError):
                        await client.post(f"{taken.url}/mcp", content=b"{}", headers=token_headers(token))
                assert (await client.post(f"{taken.url}/mcp", headers=token_headers(TOKEN))).is_success

        anyio.run(post)
        assert not taken.has_got(other)
        assert taken.has_got(TOKEN)


async def test_a_client_that_was_connected_gives_the_program_that_follows_the_room_nothing(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        port, token = room.room.settings.port, room.owner_token
        client = BlockingRoom(f"{room.url}/mcp", token)
        assert (await anyio.to_thread.run_sync(client.call, "heartbeat"))["standing"] == "active"
    with client, taking(port) as taken:
        for _ in range(2):
            with pytest.raises(Failure):
                await anyio.to_thread.run_sync(client.call, "heartbeat")
        assert taken.challenges >= 1
        assert not taken.has_got(token)


async def test_a_program_that_waits_for_the_room_goes_on_when_the_room_is_back(tmp_path: Path) -> None:
    """A listener does not end because somebody took the port for a while."""
    events, away = list[str](), anyio.Event()

    def tell(event: str, *_: object, **__: object) -> None:
        events.append(event)
        if event == "away":
            away.set()

    async with running_room(tmp_path / "room") as room:
        port, token = room.room.settings.port, room.owner_token
        steady = Room(room.url, token, tell=tell)
        assert (await steady.me())["name"] == "olga"
    replies = list[dict[str, Any]]()

    async def call() -> None:
        replies.append(await steady.call("heartbeat"))

    with anyio.fail_after(BOUND_SECONDS):
        async with anyio.create_task_group() as tasks:
            with taking(port) as taken:
                tasks.start_soon(call)
                await away.wait()
                assert taken.challenges >= 1
            async with running_room(tmp_path / "room", port=port):
                while not replies:
                    await anyio.lowlevel.checkpoint()
    assert events == ["away", "back"]
    assert not taken.has_got(token)


async def test_a_program_that_begins_before_another_program_ends_and_says_why() -> None:
    with taking() as taken:
        with pytest.raises(UnprovenError) as raised:
            await Room(taken.url, TOKEN).me()
        assert raised.value.exit_code == NOT_AUTHORISED


# ------------------------------------------------------------------ other ways


TO_OTHERS = frozenset({"webhook.py", "opencode.py"})
"""The clients' files that connect to another program than the room, and send it no token of the room."""


def test_only_two_files_of_the_clients_open_connections_to_rooms() -> None:
    """A client that opened its own would need its own handshake."""
    opens = re.compile(
        r"HTTPS?Connection\(|AsyncClient\(|httpx2\.(?:Client|get|post|stream)\b|urlopen|create_connection"
    )
    found = {path.name for path in (ROOT / "clients").rglob("*.py") if opens.search(path.read_text(encoding="utf-8"))}
    assert found - TO_OTHERS == {"connection.py", "streams.py"}


def test_the_handshake_is_beside_the_endpoint_behind_a_proxy_that_adds_a_folder() -> None:
    with taking(answers=lambda request: proof_for(TOKEN, request) if b"/handshake?" in request else RESULT) as taken:
        by_room(f"{taken.url}/rooms/a")
        assert bytes(taken.received[0]).startswith(b"GET /rooms/a/handshake?")


def test_plain_http_never_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with taking() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("all_proxy", proxy.url)
        for send in (by_room, by_the_python_client, by_http_client):
            with pytest.raises(UnreachableError):
                send("http://room.invalid:8765")
        assert proxy.received == []


def test_a_socket_in_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener, taking() as taken:
        listener.bind(str(tmp_path / "room" / SOCKET))
        listener.listen()
        listener.setblocking(False)
        for mode, is_used in ((0o777, False), (0o700, True)):
            (tmp_path / "room").chmod(mode)
            with (
                BlockingRoom(f"{taken.url}/mcp", TOKEN, answer_seconds=0.1, socket_folder=tmp_path / "room") as room,
                pytest.raises(UnreachableError if is_used else UnprovenError),
            ):
                room.call("heartbeat")
            with suppress(BlockingIOError):
                listener.accept()[0].close()
                assert is_used
        assert not taken.has_got(TOKEN)
