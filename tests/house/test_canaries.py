"""Secrets are sent into a room served by `teamroom up`; none of them stands in what the room says or copies.

Its log, its metrics, its errors and, for what opens the room, its database and its backups are searched.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.plain_http import WITHOUT_TLS
from tests.support.promises import promise
from tests.support.raw import ENVELOPE, MODERN
from tests.support.receivers import receiver
from tests.support.shells import STEP_SECONDS, Shell, Up, free_port, up

pytestmark = promise("ID4")

PLACES = (
    "unknown token",
    "refused text",
    "query",
    "body",
    "malformed header",
    "argument value",
    "tool name",
    "argument name",
    "request id",
)
"""Where a canary is put; the tokens that are in use and the room's key make it twelve."""

CHANNEL = ("user", "password", "path", "query")
"""Where one is put into the address of a person's channel."""


def fresh() -> str:
    """A canary that looks like a token of the room."""
    return f"tr_{secrets.token_hex(32)}"


def sent(name: str, arguments: dict[str, Any], meta: dict[str, Any] | None = None) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments, "_meta": {**ENVELOPE, **(meta or {})}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def call(url: str, token: str, message: Any, path: str = "/mcp", **more: str) -> httpx2.Response:
    method = {"Mcp-Method": "tools/call", "Mcp-Name": message["params"]["name"]} if isinstance(message, dict) else {}
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": MODERN,
        **method,
        **more,
    }
    body = json.dumps(message) if isinstance(message, dict) else message
    return httpx2.post(
        f"{url}{path}", verify=WITHOUT_TLS, headers=headers, content=body, trust_env=False, timeout=STEP_SECONDS
    )


def plant(room: Up, token: str) -> tuple[dict[str, str], str]:
    """Send every canary; returns them by where they were put, and all that was answered."""
    put = {name: fresh() for name in PLACES}
    url = room.url
    answers = [
        call(url, put["unknown token"], sent("heartbeat", {})),
        call(url, token, sent("post_message", {"text": put["refused text"], "kind": "no kind"})),
        call(url, token, sent("heartbeat", {}), path=f"/mcp/none?token={put['query']}"),
        call(url, token, '{"jsonrpc": "2.0", "token": "' + put["body"]),
        call(url, token, sent("heartbeat", {}), Authorization=f"Basic {put['malformed header']} x"),
        call(url, token, sent("read_board", {"task": {"token": put["argument value"]}})),
        call(url, token, sent(put["tool name"], {})),
        call(url, token, sent("heartbeat", {put["argument name"]: 1})),
        call(url, token, sent("heartbeat", {}, {"teamroom/request-id": put["request id"] + "\n"})),
    ]
    assert [answer.status_code for answer in answers] == [401, 200, 404, 400, 401, 200, 200, 200, 200]
    return put, "".join(answer.text for answer in answers)


def found(canaries: Mapping[str, str], text: str) -> list[str]:
    """Where the canaries were put that stand in a text, whole or as the first 24 digits."""
    return [where for where, canary in canaries.items() if canary[3:27] in text]


def database(path: Path) -> str:
    """Every value of a database, and its bytes."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as rows:
        return "\n".join(rows.iterdump()) + path.read_bytes().decode("latin-1")


@pytest.fixture(params=["plain", "json"])
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Up]:
    """A room whose log is written down to the least weight."""
    with up(tmp_path / "room", TEAMROOM_LOG_FORMAT=request.param, TEAMROOM_LOG_LEVEL="debug") as opened:
        yield opened


def test_twelve_canaries_are_nowhere_in_logs_metrics_errors_databases_and_backups(room: Up) -> None:
    owner = (room.folder / "owner.token").read_text().strip()
    member = room.shell.now("enroll", "builder", "--json").json["token"]
    canaries, answers = plant(room, member)
    tokens = {"owner's token": owner, "member's token": member}
    metrics = httpx2.get(
        f"{room.url}/metrics", verify=WITHOUT_TLS, headers={"Authorization": f"Bearer {owner}"}, trust_env=False
    ).text
    assert "teamroom" in metrics
    assert room.shell.now("backup").code == 0
    room.stop()
    assert room.process.stdout is not None
    log = room.process.stdout.read()
    assert "request rejected with 401" in log, "the log was written"
    key = {"room key": f"tr_{(room.folder / 'room.key').read_text().strip()}"}
    everything = {**canaries, **tokens, **key}
    assert len(everything) >= 10
    assert found(everything, log) == []
    assert found(everything, metrics) == []
    assert found(everything, answers) == []
    copies = [room.folder / "room.db", *(room.folder / "backups").glob("*.db")]
    assert len(copies) == 2
    for copy in copies:
        assert found(everything, database(copy)) == [], copy.name


def of_channels(put: Mapping[str, str]) -> str:
    """Two channels of @olga: nobody takes letters at the first, and what takes them at the second says no."""
    user, password, path, query = (put[where] for where in CHANNEL)
    urls = [f"json://{user}:{password}@127.0.0.1:{port}/{path}?-key={query}" for port in (free_port(), put["port"])]
    return json.dumps({"olga": urls})


@pytest.mark.parametrize("form", ["plain", "json"])
def test_no_part_of_a_channel_address_is_in_logs_metrics_errors_doctor_databases_or_backups(
    tmp_path: Path, form: str
) -> None:
    canaries = {where: fresh() for where in CHANNEL}
    with receiver() as phone:
        phone.status = 403
        told = of_channels({**canaries, "port": str(phone.port)})
        log = {"TEAMROOM_LOG_FORMAT": form, "TEAMROOM_LOG_LEVEL": "debug"}
        with up(tmp_path / "room", "--owner", "olga", TEAMROOM_NOTIFY=told, **log) as room:
            tried = room.shell.now("notify", "olga", "--json")
            assert [channel["state"] for channel in tried.json["channels"]] == ["failed", "failed"]
            assert phone.tries == 1
            owner = (room.folder / "owner.token").read_text().strip()
            metrics = httpx2.get(
                f"{room.url}/metrics", verify=WITHOUT_TLS, headers={"Authorization": f"Bearer {owner}"}, trust_env=False
            )
            said = [tried, *(room.shell.now(*words) for words in LOOKS)]
            assert any('"json": 2' in done.out for done in said), "doctor was asked with the same settings"
            assert room.shell.now("backup").code == 0
            room.stop()
            assert room.process.stdout is not None
            written = room.process.stdout.read() + metrics.text + "".join(done.out + done.err for done in said)
        assert "could not be reached on channel 2 of 2" in written
        assert found(canaries, written) == []
        for copy in (room.folder / "room.db", *(room.folder / "backups").glob("*.db")):
            assert found(canaries, database(copy)) == [], copy.name


LOOKS = (("doctor", "--json"), ("doctor",), ("notify", "--json"), ("notify",), ("stream",), ("receipts", "--json"))


def test_settings_that_cannot_be_read_are_named_without_an_address(tmp_path: Path) -> None:
    canary = {"address": fresh()}
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(tmp_path / "room")})
    secret = canary["address"]
    for told in (
        f'{{"olga": ["{secret}"]}}',
        f'{{"olga": "json://{secret}"}}',
        f'{{"olga": ["json://{secret}"',
        f'["{secret}"]',
    ):
        done = shell.with_(TEAMROOM_NOTIFY=told).now("up", "--port", "0")
        assert done.code == 1
        assert "TEAMROOM_NOTIFY: notify" in done.err
        assert found(canary, done.out + done.err) == []


def test_a_leaked_canary_is_found_by_the_same_search(tmp_path: Path) -> None:
    """The twin: one in a message that was posted stands in the database and its copy, and one in a log line too."""
    with up(tmp_path / "room") as room:
        member = room.shell.now("enroll", "builder", "--json").json["token"]
        canary = {"posted": fresh().removeprefix("tr_")}  # as a token it would be refused
        assert call(room.url, member, sent("post_message", {"text": canary["posted"]})).is_success
        assert room.shell.now("backup").code == 0
        room.stop()
        for copy in (room.folder / "room.db", *(room.folder / "backups").glob("*.db")):
            assert found(canary, database(copy)) == ["posted"]
    assert found(canary, f"info the token is {canary['posted'][:40]}") == ["posted"]
