"""How the server proves that it is the room: to anyone who names a token, and without saying which tokens exist."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.handshake import Challenge, new_challenge, read_challenge, written_address
from teamroom.server.identity import token_hash
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import promise
from tests.support.rates import LIMITLESS
from tests.support.raw import Answer, Wire, reply, request
from tests.support.room_in_thread import RoomInThread, room_in_thread
from tests.support.rooms import running_room
from tests.support.wire import assert_refused, exchange, sent

pytestmark = promise("SAF1", "SAF11")

UNKNOWN = "tr_" + "0" * 64
MOST = 16


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomInThread]:
    folder = tmp_path_factory.mktemp("handshake") / "room"
    limits = {"strangers": MOST, "body_seconds": 1, "allowed_hosts": ["room.example:80", "192.0.2.7:80"]}
    with room_in_thread(folder, **limits, **LIMITLESS) as room:
        room.enroll("bot")
        yield room


@pytest.fixture
def room(served: RoomInThread) -> Iterator[RoomInThread]:
    """The room of this file, which still serves and has logged no error after each test."""
    yield served
    assert exchange(served, sent(served)).status == 200
    assert served.log.lines == []


def challenge_of(room: RoomInThread, token: str, address: str | None = None) -> Challenge:
    return new_challenge(token_hash(token), address or f"127.0.0.1:{room.port}")


def asked(room: RoomInThread, query: str, method: str = "GET", host: str | None = None) -> bytes:
    return request(method, f"/handshake?{query}", [("host", host or f"127.0.0.1:{room.port}")])


def ask(room: RoomInThread, query: str, method: str = "GET") -> Answer:
    return exchange(room, asked(room, query, method), method)


def is_proven(room: RoomInThread, token: str) -> bool:
    challenge = challenge_of(room, token)
    return bool(ask(room, challenge.query).json["proof"] == challenge.proof(token_hash(token)))


# ------------------------------------------------------------------ what it proves


def test_the_room_proves_that_it_knows_a_token_and_the_token_is_then_sent_on_the_same_connection(
    room: RoomInThread,
) -> None:
    challenge = challenge_of(room, room.token("bot"))
    with room.wire() as wire:
        wire.send(asked(room, challenge.query))
        assert wire.answer().json == {"proof": challenge.proof(token_hash(room.token("bot")))}
        wire.send(sent(room))
        assert reply(wire.answer())["members"]


def test_the_room_also_knows_the_tokens_that_ended_and_nobody_elses(room: RoomInThread) -> None:
    room.enroll("killed", "rotated")
    before = room.token("rotated")
    with room.modern("olga") as olga:
        after = reply(olga.call("enroll", {"name": "rotated", "rotate": True}))["token"]
        olga.call("kill", {"target": "killed", "reason": "enough"})
    assert [is_proven(room, token) for token in (room.token("killed"), before, after)] == [True] * 3
    assert b"was killed" in exchange(room, sent(room, authorization=f"Bearer {room.token('killed')}")).body
    assert not is_proven(room, UNKNOWN)


def test_a_proof_is_of_one_nonce_and_of_one_token(room: RoomInThread) -> None:
    token = room.token("bot")
    first, second = challenge_of(room, token), challenge_of(room, token)
    assert first.nonce != second.nonce
    assert ask(room, first.query).json["proof"] != second.proof(token_hash(token))
    assert first.proof(token_hash(token)) != first.proof(token_hash(room.token("olga")))


# ------------------------------------------------------------------ what it does not say


async def test_an_unknown_token_is_answered_like_a_known_one_before_and_after_a_restart(tmp_path: Path) -> None:
    known, port, seen = "", 0, list[dict[str, Any]]()
    for _ in range(2):
        async with running_room(tmp_path / "room", port=port) as room:
            port, known = room.room.settings.port, known or room.owner_token
            if not seen:
                address = f"127.0.0.1:{port}"
                challenges = {name: new_challenge(token_hash(token), address) for name, token in
                              (("known", known), ("unknown", UNKNOWN))}  # fmt: skip
            entries = len(room.entries())
            for _ in range(2):
                answers = {n: await room.raw("GET", f"/handshake?{c.query}") for n, c in challenges.items()}
                shapes = {name: (a.status_code, dict(a.headers), len(a.content)) for name, a in answers.items()}
                assert shapes["known"] == shapes["unknown"]
                seen.append({name: answer.json() for name, answer in answers.items()})
            assert len(room.entries()) == entries
    assert seen == seen[:1] * 4, "an answer that changes would tell an unknown token from a known one"
    assert seen[0]["known"]["proof"] == challenges["known"].proof(token_hash(known))


@pytest.mark.parametrize(
    "query",
    ["", "start=0", "start={s}&nonce={n}", "nonce={n}&start={s}&address={a}", "start={s}&nonce={n}&address={a}&more=1",
     "start={s}00&nonce={n}&address={a}", "start={s}&nonce=00&address={a}", "start={s}&nonce={n}&address={a}{n}",
     "start={s}&nonce={n}&address=room.example", "start={S}&nonce={n}&address={a}", "start=%25&nonce={n}&address={a}",
     "start={s}&nonce={n}&address=é"],
)  # fmt: skip
def test_what_is_no_challenge_is_refused(room: RoomInThread, query: str) -> None:
    good = challenge_of(room, "tr_" + "ab" * 32)
    assert read_challenge(good.query) == good
    parts = {"s": good.start, "S": "A" * len(good.start), "n": good.nonce, "a": good.address}
    assert_refused(ask(room, query.format(**parts)), 400, "invalid")


def test_a_challenge_comes_with_get_and_from_no_web_page(room: RoomInThread) -> None:
    query = challenge_of(room, room.token("bot")).query
    assert_refused(ask(room, query, "POST"), 405, "invalid")
    page = request(
        "GET", f"/handshake?{query}", [("host", f"127.0.0.1:{room.port}"), ("origin", "http://evil.example")]
    )
    assert_refused(exchange(room, page, "GET"), 403, "not_allowed")
    assert_refused(exchange(room, asked(room, query, host="evil.example"), "GET"), 421, "not_allowed")


# ------------------------------------------------------------------ for which address


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "[::1]:{port}", "127.0.0.2:{port}", "192.0.2.8:80", "0.0.0.0:{port}"]
)
def test_the_room_proves_nothing_for_an_address_that_may_be_another_programs(room: RoomInThread, address: str) -> None:
    found = challenge_of(room, room.token("bot"), address.format(port=room.port))
    assert_refused(ask(room, found.query), 421, "not_allowed")


def test_the_room_proves_itself_for_an_address_that_its_owner_named(room: RoomInThread) -> None:
    found = challenge_of(room, room.token("bot"), "192.0.2.7:80")
    assert ask(room, found.query).json == {"proof": found.proof(token_hash(room.token("bot")))}


@given(st.ip_addresses(), st.integers(1, 65_535))
def test_both_ends_write_an_address_in_the_same_way(address: Any, port: int) -> None:
    written = written_address(str(address), port)
    assert written_address(f"{address}%eth0" if address.version == 6 else str(address), port) == written
    if address.version == 4:
        assert written_address(f"::ffff:{address}", port) == written
    assert read_challenge(Challenge("0" * 16, "0" * 64, written).query) is not None


# ------------------------------------------------------------------ what it costs


def test_a_connection_is_kept_for_one_handshake_and_not_for_long(room: RoomInThread) -> None:
    with room.wire() as wire:
        for left_open in (True, False):
            wire.send(asked(room, challenge_of(room, UNKNOWN).query))
            answer = wire.answer()
            assert answer.status == 200
            assert ("connection" in answer.headers) is not left_open
        assert wire.ended()
    with room.wire() as wire:
        wire.send(asked(room, challenge_of(room, UNKNOWN).query))
        assert wire.answer().status == 200
        begun = time.monotonic()
        assert wire.ended(), "a stranger that shows no token is not waited for"
        assert time.monotonic() - begun < BOUND_SECONDS / 2


def test_connections_with_a_handshake_count_as_strangers_and_give_way(room: RoomInThread) -> None:
    wires = list[Wire]()
    try:
        for _ in range(MOST + 2):
            wires.append(room.wire())
            wires[-1].send(asked(room, challenge_of(room, UNKNOWN).query))
            assert wires[-1].answer().status == 200
        assert all(wire.ended() for wire in wires[:2])
    finally:
        for wire in wires:
            wire.socket.close()


# ------------------------------------------------------------------ who could answer in its place


async def test_no_member_can_read_the_hash_of_a_token(tmp_path: Path) -> None:
    """With it, a program could prove to a client that it is the room."""
    async with running_room(tmp_path / "room") as room:
        await room.enroll("bot")
        await room.enroll("chief", role="operator")
        owner, chief = await room.owner(), await room.connect("chief")
        await owner("enroll", name="bot", rotate=True)
        hashes = [token_hash(token) for token in (room.owner_token, *room.tokens.values())]
        said = list[str]()
        for member in (owner, chief):
            for name in ("who", "read_receipts", "check_in"):
                said.append(json.dumps(await member(name)))
            listed = (await member.client.list_resources()).resources
            numbered = [f"teamroom://receipts/{number}" for number in range(1, len(room.entries()) + 1)]
            for uri in [*(str(one.uri) for one in listed), *numbered]:
                said += [one.model_dump_json() for one in (await member.client.read_resource(uri)).contents]
    assert [one for one in hashes if any(one in text for text in said)] == []
    assert hashes[0].encode() in (tmp_path / "room" / "room.db").read_bytes(), "the twin: there it is"
