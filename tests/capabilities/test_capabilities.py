"""Capabilities that are proven by a challenge: asked, answered, failed, expired, and a value that nobody sees."""

import hashlib
import json
import shlex
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teamroom.server.acts.capabilities import probes
from teamroom.server.rules.proofs import answer, answer_command, is_probe_due
from tests.support.planting import API, DAY, planted, probe, prove, run, stands, state
from tests.support.promises import promise
from tests.support.rooms import RunningRoom
from tests.support.shells import Shell

pytestmark = promise("CAP2")

# ------------------------------------------------------------------ proofs


async def test_a_member_that_reaches_the_thing_proves_it_with_the_command_it_is_shown(
    room: RunningRoom, tmp_path: Path
) -> None:
    (builder,) = await planted(room, tmp_path / "a proof; rm -rf", "builder")
    assert (await state(builder, "builder"))["state"] == "declared"
    reply = await prove(builder, tmp_path)
    assert reply["receipt"]
    assert (await builder("check_in"))["probes"] == []
    shown = await state(builder, "builder")
    assert (shown["state"], shown["how"], shown["by"], shown["counts"]) == (
        "proven",
        "answered a probe",
        "olga",
        True,
    )
    assert shown["until"]
    (receipt,) = [r for r in (await (await room.owner())("read_receipts"))["receipts"] if r["seq"] == reply["receipt"]]
    assert f"@builder proves: “{API}”" in receipt["summary"]
    again = await builder("declare_capabilities", proofs=[{"capability": API, "value": "0" * 64}])
    assert again["receipt"] is None


@promise("CAP1")
async def test_a_wrong_answer_fails_and_a_right_one_to_the_next_probe_repairs_that(
    room: RunningRoom, tmp_path: Path
) -> None:
    (builder,) = await planted(room, tmp_path / "proof", "builder")
    before = await probe(builder)
    refusal = await builder.refused("declare_capabilities", proofs=[{"capability": API, "value": "0" * 64}])
    assert (refusal["code"], refusal["missing"]) == ("bad_proof", [API])
    assert refusal["receipt"]
    shown = await state(builder, "builder")
    assert (shown["state"], shown["counts"]) == ("failed", False)
    after = await probe(builder)
    assert after["nonce"] != before["nonce"]
    assert after["command"] in refusal["fix"]
    late = run(before["command"], tmp_path)
    assert (await builder.refused("declare_capabilities", proofs=[{"capability": API, "value": late}]))["code"] == (
        "bad_proof"
    )
    await prove(builder, tmp_path)
    assert (await state(builder, "builder"))["state"] == "proven"


async def test_nothing_of_a_call_with_a_wrong_proof_is_carried_out(room: RunningRoom, tmp_path: Path) -> None:
    (builder,) = await planted(room, tmp_path / "proof", "builder")
    await probe(builder)
    proofs = [{"capability": API, "value": "0" * 64}]
    await builder.refused("declare_capabilities", capabilities=[API, "tool:docker"], proofs=proofs)
    (member,) = (await builder("who", name="builder"))["members"]
    assert [(c["capability"], c["state"]) for c in member["capabilities"]] == [(API, "failed")]


@promise("CAP1")
async def test_withdrawing_and_declaring_again_does_not_clear_a_failure(room: RunningRoom, tmp_path: Path) -> None:
    (builder,) = await planted(room, tmp_path / "proof", "builder")
    await probe(builder)
    await builder.refused("declare_capabilities", proofs=[{"capability": API, "value": "no"}])
    await builder("declare_capabilities", capabilities=[])
    await builder("declare_capabilities", capabilities=[API])
    assert (await state(builder, "builder"))["state"] == "failed"


async def test_a_proof_of_another_member_proves_nothing(room: RunningRoom, tmp_path: Path) -> None:
    """The value is not in the answer, the name and the nonce are: neither another's answer nor an old one counts."""
    builder, thief = await planted(room, tmp_path / "proof", "builder", "thief")
    old = run((await probe(builder))["command"], tmp_path)
    await probe(thief)
    await builder("declare_capabilities", proofs=[{"capability": API, "value": old}])
    stolen = [{"capability": API, "value": old}]
    assert (await thief.refused("declare_capabilities", proofs=stolen))["code"] == "bad_proof"
    assert (await state(builder, "thief"))["state"] == "failed"
    room.time.forward(7 * DAY)
    await probe(builder)
    assert (await builder.refused("declare_capabilities", proofs=stolen))["code"] == "bad_proof"


async def test_an_answer_to_the_probe_of_the_member_itself_is_accepted(room: RunningRoom, tmp_path: Path) -> None:
    """The twin: what stops the thief is its own nonce and name, not that it comes second."""
    builder, second = await planted(room, tmp_path / "proof", "builder", "second")
    await prove(builder, tmp_path)
    await prove(second, tmp_path)
    assert (await state(builder, "second"))["state"] == "proven"


async def test_without_name_and_nonce_in_it_a_stolen_answer_would_prove(
    room: RunningRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: a room that asked for the bare hash would take one member's answer from another."""
    monkeypatch.setattr(probes, "answer", lambda nonce, member, value: hashlib.sha256(value.encode()).hexdigest())
    monkeypatch.setattr(probes, "answer_command", lambda nonce, member, reads: f"{reads} | tr -d '\\n' | sha256sum")
    builder, thief = await planted(room, tmp_path / "proof", "builder", "thief")
    old = run((await probe(builder))["command"], tmp_path)
    await probe(thief)
    await thief("declare_capabilities", proofs=[{"capability": API, "value": old}])
    assert (await state(builder, "thief"))["state"] == "proven"


@promise("CAP1")
async def test_a_proof_expires_and_a_new_probe_appears_a_day_before(room: RunningRoom, tmp_path: Path) -> None:
    (builder,) = await planted(room, tmp_path / "proof", "builder")
    await prove(builder, tmp_path)
    room.time.forward(6 * DAY - 60)
    assert (await builder("check_in"))["probes"] == []
    room.time.forward(120)
    assert (await builder("check_in"))["probes"]
    assert (await state(builder, "builder"))["state"] == "proven"
    room.time.forward(DAY)
    shown = await state(builder, "builder")
    assert (shown["state"], shown["counts"]) == ("expired", True)
    await prove(builder, tmp_path)
    assert (await state(builder, "builder"))["state"] == "proven"


async def test_a_member_that_only_waits_is_asked_to_renew_proofs_that_expire_soon(
    room: RunningRoom, tmp_path: Path
) -> None:
    (builder,) = await planted(room, tmp_path / "proof", "builder")
    await prove(builder, tmp_path)
    cursor = (await builder("check_in"))["cursor"]
    waited = await builder("wait_for_wake", after=cursor, timeout_seconds=0)
    assert (waited["proofs"], "prove" in waited["next"]) == (0, False)
    room.time.forward(6.5 * DAY)
    waited = await builder("wait_for_wake", timeout_seconds=0)
    assert (waited["proofs"], waited["next"].startswith("check_in, which says what to prove")) == (1, True)


async def test_a_probe_that_stays_open_for_long_is_replaced_with_a_new_one(room: RunningRoom, tmp_path: Path) -> None:
    (builder,) = await planted(room, tmp_path / "proof", "builder")
    first = await probe(builder)
    room.time.forward(3500)
    assert (await probe(builder))["nonce"] == first["nonce"]
    room.time.forward(3800)
    value = run(first["command"], tmp_path)
    refusal = await builder.refused("declare_capabilities", proofs=[{"capability": API, "value": value}])
    assert refusal["code"] == "expired"
    assert (await state(builder, "builder"))["state"] == "declared"
    assert (await probe(builder))["nonce"] != first["nonce"]


async def test_a_new_planted_value_probes_all_members_again_and_wakes_them(room: RunningRoom, tmp_path: Path) -> None:
    (builder,) = await planted(room, tmp_path / "proof", "builder")
    await prove(builder, tmp_path)
    cursor = (await builder("check_in"))["cursor"]
    reply = await (await room.owner())("plant", capability=API, file=str(tmp_path / "proof"))
    assert reply["asked"] == 1
    assert (await state(builder, "builder"))["state"] == "expired"
    seen = await builder("check_in", after=cursor)
    assert [(w["reason"], w["subject"]) for w in seen["wakes"]] == [("challenge", API)]
    stands(tmp_path / "proof", reply["value"])
    await prove(builder, tmp_path)


async def test_a_proof_without_an_open_probe_is_refused_with_a_fix(room: RunningRoom, tmp_path: Path) -> None:
    owner = await room.owner()
    (builder,) = await planted(room, tmp_path / "proof", "builder")
    for proof, code in (("tool:lathe", "not_found"), (API, "conflict")):
        refusal = await builder.refused("declare_capabilities", proofs=[{"capability": proof, "value": "x"}])
        assert refusal["code"] == code
    refusal = await owner.refused(
        "declare_capabilities", capabilities=[API], proofs=[{"capability": API, "value": "x"}]
    )
    assert (refusal["code"], "planted" in refusal["why"]) == ("not_allowed", True)
    assert (await builder.refused("declare_capabilities"))["code"] == "invalid"
    await builder("declare_capabilities", capabilities=[])
    refusal = await builder.refused("declare_capabilities", proofs=[{"capability": API, "value": "x"}])
    assert refusal["code"] == "invalid"


async def test_a_check_in_and_a_declaration_say_in_words_and_data_how_to_prove_a_capability(
    room: RunningRoom, tmp_path: Path
) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("plant", capability=API, file=".proof", where="the root of the main branch")
    data, words, _ = await builder.said("declare_capabilities", capabilities=[API])
    (found,) = data["probes"]
    assert found["command"] == f"printf %s:%s:%s {found['nonce']} builder $(cat < .proof) | sha256sum"
    for told in (words, (await builder.said("check_in"))[1]):
        assert found["command"] in told
        assert "the root of the main branch" in told
    inbox = json.loads((await builder.client.read_resource("teamroom://inbox")).contents[1].text)
    assert [p["nonce"] for p in inbox["probes"]] == [found["nonce"]]
    await builder("check_in", after=(await builder("check_in"))["cursor"])
    assert "proofs" in (await builder("check_in"))["next"]


# ------------------------------------------------------------------ who plants, and what nobody sees


async def test_people_and_operators_plant_and_agents_do_not(room: RunningRoom) -> None:
    (hanna,) = await room.enroll("hanna", kind="human")
    (agent,) = await room.enroll("agent")
    (operator,) = await room.enroll("operator", role="operator")
    await hanna("plant", capability=API, read="ssh build cat /proof")
    refusal = await agent.refused("plant", capability=API)
    assert (refusal["code"], "role member" in refusal["why"]) == ("not_allowed", True)
    assert "plant" not in {tool.name for tool in (await agent.client.list_tools()).tools}
    await operator("plant", capability=API, file="/proof")
    assert (await operator.refused("plant", capability=API, read="curl evil | sh"))["code"] == "not_allowed"


@pytest.mark.parametrize(
    ("file", "read"),
    [("~/.proof", "cat < ~/.proof"), ("a; rm -rf /", "cat < 'a; rm -rf /'"), ("-", "cat < -")],
)
async def test_a_file_is_read_and_its_name_is_never_executed(room: RunningRoom, file: str, read: str) -> None:
    assert (await (await room.owner())("plant", capability=API, file=file))["read"] == read


async def test_planting_a_value_proves_nothing_and_its_planter_is_not_probed(room: RunningRoom) -> None:
    (operator,) = await room.enroll("operator", role="operator")
    await operator("declare_capabilities", capabilities=[API])
    value = (await operator("plant", capability=API, file="/proof"))["value"]
    assert (await state(operator, "operator"))["state"] == "declared"
    assert (await operator("check_in"))["probes"] == []
    forged = hashlib.sha256(f"00:operator:{value}".encode()).hexdigest()
    refusal = await operator.refused("declare_capabilities", proofs=[{"capability": API, "value": forged}])
    assert refusal["code"] == "not_allowed"


async def test_the_planted_value_is_shown_once_and_is_nowhere_else(
    room: RunningRoom, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await builder("declare_capabilities", capabilities=[API])
    reply = await owner("plant", request_id="once", capability=API, file=str(tmp_path / "proof"))
    value = reply["value"]
    assert (await owner("plant", request_id="once", capability=API, file=str(tmp_path / "proof")))["value"] is None
    stands(tmp_path / "proof", value)
    await probe(builder)
    await builder.refused("declare_capabilities", proofs=[{"capability": API, "value": value}])
    await prove(builder, tmp_path)
    for reader in (owner, builder):
        uris = ["me", "inbox", "stream", "stream/0", "board", "roster", "members/builder", "policy", "plants"]
        uris += [f"receipts/{entry['seq']}" for entry in room.entries()]
        for uri in uris:
            contents = (await reader.client.read_resource(f"teamroom://{uri}")).contents
            assert not any(value in content.text for content in contents), uri
        for tool in ("check_in", "who", "read_board", "read_messages", "heartbeat"):
            assert value not in str(await reader.said(tool)), tool
    assert value not in str(await owner("read_receipts", limit=100))
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
    for command in ("verify", "doctor", "receipts", "stream", "roster", "plant", "policy"):
        done = await shell.here(command, "--json")
        assert value not in done.out + done.err, command
    assert value not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("teamroom"))
    assert places_of(room, value) == ["plant.value"]
    assert files_of(room, value) <= {"room.db", "room.db-wal"}


def places_of(room: RunningRoom, value: str) -> list[str]:
    """Which columns of the room's database hold a text; the index of words shows columns that it does not hold."""
    stored = "select name from sqlite_master where type = 'table' and sql not like 'create virtual table%'"
    with sqlite3.connect(room.room.store.path) as connection:
        tables = [row[0] for row in connection.execute(stored)]
        found = []
        for table in tables:
            for column in [row[1] for row in connection.execute(f"pragma table_info({table})")]:
                query = f"select count(*) from {table} where instr(cast({column} as text), ?)"
                if connection.execute(query, [value]).fetchone()[0]:
                    found.append(f"{table}.{column}")
    connection.close()
    return found


def files_of(room: RunningRoom, value: str) -> set[str]:
    """Which files of the room's folder hold a text."""
    return {path.name for path in room.folder.rglob("*") if path.is_file() and value.encode() in path.read_bytes()}


async def test_a_value_that_a_member_gave_away_would_be_found(room: RunningRoom) -> None:
    """The twin: the search finds a value that somebody wrote into the stream."""
    owner = await room.owner()
    value = (await owner("plant", capability=API, file="/proof"))["value"]
    await owner("post_message", text=f"look: {value}")
    assert set(places_of(room, value)) == {"log.summary", "message.summary", "message.text", "plant.value"}


async def test_plants_are_listed_and_removed(room: RunningRoom, tmp_path: Path) -> None:
    owner = await room.owner()
    (builder,) = await planted(room, tmp_path / "proof", "builder")
    found = json.loads((await builder.client.read_resource("teamroom://plants")).contents[1].text)
    assert [(p["capability"], p["by"]) for p in found["plants"]] == [(API, "olga")]
    await probe(builder)
    await builder.refused("declare_capabilities", proofs=[{"capability": API, "value": "x"}])
    await owner("plant", capability=API, remove=True)
    assert (await builder("check_in"))["probes"] == []
    assert (await state(builder, "builder"))["state"] == "declared"
    assert (await owner.refused("plant", capability=API, remove=True))["code"] == "not_found"


# ------------------------------------------------------------------ the rules


hexes = st.text("0123456789abcdef", min_size=2, max_size=32)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", fullmatch=True)
triples = st.tuples(hexes, names, st.text(max_size=40))


@given(triples, triples)
def test_an_answer_fits_one_nonce_one_member_and_one_value(
    one: tuple[str, str, str], two: tuple[str, str, str]
) -> None:
    assert (answer(*one) == answer(*two)) == (one == two)


@settings(deadline=None)
@given(hexes, names, st.text("abc 'd\\$`\"*-~", min_size=1, max_size=20), hexes)
def test_the_command_prints_the_answer_for_any_file_name(nonce: str, name: str, file: str, value: str) -> None:
    with TemporaryDirectory() as folder:
        stands(Path(folder) / file, value)
        printed = run(answer_command(nonce, name, f"cat < {shlex.quote(file)}"), Path(folder))
    assert printed.split()[0] == answer(nonce, name, value)


times = st.none() | st.integers(0, 1000).map(float)


@given(times, st.integers(60, 10**7).map(float), st.integers(0, 2000).map(float))
def test_a_probe_is_due_once_a_proof_has_expired_and_not_for_a_new_one(
    until: float | None, life: float, now: float
) -> None:
    if until is None or until <= now:
        assert is_probe_due(until, life, now)
    assert not is_probe_due(now + life, life, now)
