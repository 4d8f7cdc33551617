"""Capabilities that others vouch for, and what counts at the room's trust level: work goes to who reaches it."""

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.policy import TrustLevel
from teamroom.server.rules.routing import COUNTS, Reach
from teamroom.server.store.sqlite.connect import migrate
from teamroom.server.store.statements import sqlite_statements
from tests.support.planting import API, DAY, planted, probe, prove, stands, state
from tests.support.promises import promise
from tests.support.rooms import RunningRoom
from tests.support.shells import Shell, token_file

# ------------------------------------------------------------------ attestation


@promise("CAP2")
async def test_people_and_members_of_another_owner_attest_with_a_receipt(room: RunningRoom) -> None:
    owner = await room.owner()
    (hanna,) = await room.enroll("hanna", kind="human")
    (theirs,) = await room.enroll("theirs", owner="hanna")
    builder, same = await room.enroll("builder", "same")
    await builder("declare_capabilities", capabilities=[API, "tool:docker", "tool:gpu"])
    for who, capability in ((theirs, API), (owner, "tool:docker"), (hanna, "tool:gpu")):
        reply = await who("declare_capabilities", attest_for="builder", capabilities=[capability])
        (receipt,) = [
            r for r in (await owner("read_receipts", act="attest"))["receipts"] if r["seq"] == reply["receipt"]
        ]
        assert (receipt["subject"], receipt["detail"]["capabilities"]) == ("@builder", [capability])
        shown = await state(same, "builder", capability)
        assert (shown["state"], shown["by"], shown["until"] is not None) == ("attested", who.name, True)
    for who in (builder, same):
        refusal = await who.refused("declare_capabilities", attest_for="builder", capabilities=[API])
        assert refusal["code"] == "not_allowed"
    for arguments in ({"capabilities": ["tool:lathe"]}, {"capabilities": []}, {"proofs": []}):
        assert await owner.refused("declare_capabilities", attest_for="builder", **arguments)
    room.time.forward(31 * DAY)
    assert (await state(same, "builder"))["state"] == "expired"


@promise("CAP1")
async def test_a_failed_proof_ends_an_attestation_and_an_attestation_clears_a_failure(
    room: RunningRoom, tmp_path: Path
) -> None:
    owner = await room.owner()
    (builder,) = await planted(room, tmp_path / "proof", "builder")
    await owner("declare_capabilities", attest_for="builder", capabilities=[API])
    await probe(builder)
    await builder.refused("declare_capabilities", proofs=[{"capability": API, "value": "x"}])
    assert (await state(builder, "builder"))["state"] == "failed"
    await owner("declare_capabilities", attest_for="builder", capabilities=[API])
    assert (await state(builder, "builder"))["state"] == "attested"


@promise("CAP2")
@pytest.mark.parametrize("who", ["theirs", "hans", "olga"])
async def test_an_attestation_is_withdrawn_by_its_author_the_owner_of_the_member_or_a_room_owner(
    room: RunningRoom, who: str
) -> None:
    owner = await room.owner()
    hanna, hans = await room.enroll("hanna", "hans", kind="human")
    (theirs,) = await room.enroll("theirs", owner="hanna")
    builder, same = await room.enroll("builder", "same", owner="hans")
    await owner("set_policy", name="trust", value="attested")
    await owner("create_task", title="work", needs=[API])
    await builder("declare_capabilities", capabilities=[API])
    about = {"attest_for": "builder", "capabilities": [API]}
    await theirs("declare_capabilities", **about)
    for other in (hanna, builder, same):
        refusal = await other.refused("declare_capabilities", **about, withdraw=True)
        assert (refusal["code"], "@theirs" in refusal["fix"]) == ("not_allowed", True)
    assert (await state(same, "builder"))["state"] == "attested"
    caller = {"theirs": theirs, "hans": hans, "olga": owner}[who]
    reply = await caller("declare_capabilities", **about, withdraw=True)
    (receipt,) = (await owner("read_receipts", act="withdraw_attestation"))["receipts"]
    assert (receipt["seq"], receipt["actor"], receipt["subject"]) == (reply["receipt"], who, "@builder")
    assert receipt["detail"] == {"capabilities": [API], "attested_by": ["theirs"]}
    assert (await state(same, "builder"))["state"] == "declared"
    assert (await builder.refused("claim_task", task="T-1"))["code"] == "missing_capability"
    assert (await caller.refused("declare_capabilities", **about, withdraw=True))["code"] == "conflict"
    await theirs("declare_capabilities", **about)
    assert (await builder("claim_task", task="T-1"))["task"] == "T-1"


@promise("CAP2")
async def test_only_valid_attestations_are_withdrawn_and_either_all_or_none(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await builder("declare_capabilities", capabilities=[API, "tool:docker"])
    await owner("declare_capabilities", attest_for="builder", capabilities=[API])
    both = {"attest_for": "builder", "capabilities": [API, "tool:docker"], "withdraw": True}
    refusal = await owner.refused("declare_capabilities", **both)
    assert (refusal["code"], "tool:docker" in refusal["why"]) == ("conflict", True)
    assert (await state(builder, "builder"))["state"] == "attested"
    for arguments in (
        {"withdraw": True, "capabilities": [API]},
        {"withdraw": True, "attest_for": "builder"},
        {"withdraw": True, "attest_for": "builder", "capabilities": [API], "proofs": []},
    ):
        assert (await owner.refused("declare_capabilities", **arguments))["code"] == "invalid"
    room.time.forward(31 * DAY)
    late = await owner.refused("declare_capabilities", attest_for="builder", capabilities=[API], withdraw=True)
    assert late["code"] == "conflict"


# ------------------------------------------------------------------ routing at the room's trust level


LEVELS = [
    ("declared", {"sayer", "vouched", "prover"}),
    ("attested", {"vouched", "prover"}),
    ("proven", {"prover"}),
]


@promise("HND2")
@pytest.mark.parametrize(("trust", "able"), LEVELS)
async def test_work_goes_to_members_that_have_the_capability_at_the_trust_level(
    room: RunningRoom, tmp_path: Path, trust: str, able: set[str]
) -> None:
    owner = await room.owner()
    names = ("failer", "sayer", "vouched", "prover")
    failer, sayer, vouched, prover = await planted(room, tmp_path / "proof", *names)
    members = dict(zip(names, (failer, sayer, vouched, prover), strict=True))
    await probe(failer)
    await failer.refused("declare_capabilities", proofs=[{"capability": API, "value": "x"}])
    await owner("declare_capabilities", attest_for="vouched", capabilities=[API])
    await prove(prover, tmp_path)
    await owner("set_policy", name="trust", value=trust)
    for number in range(5):
        await owner("create_task", title=f"work {number}", needs=[API])
    found = (await owner("who", capability=API))["members"]
    assert {m["name"] for m in found if m["capabilities"][0]["counts"]} == able
    assert [m["capabilities"][0]["counts"] for m in found] == sorted(
        [m["capabilities"][0]["counts"] for m in found], reverse=True
    )
    for name, member in members.items():
        if name in able:
            claimed = await member("claim_task")
            for to in names:
                if to in able - {name}:
                    offer = await member("hand_off", task=claimed["task"], fence=claimed["fence"], to=to, note="yours")
                    await member("answer_hand_off", offer=offer["offer"], accept=False)
                elif to not in able:
                    refusal = await member.refused(
                        "hand_off", task=claimed["task"], fence=claimed["fence"], to=to, note="yours"
                    )
                    assert refusal["missing"] == [API]
            continue
        nothing = await member.refused("claim_task")
        assert (nothing["code"], f"needs {API}" in nothing["why"]) == ("not_found", True)
        refusal = await member.refused("claim_task", task="T-5")
        assert (refusal["code"], refusal["missing"]) == ("missing_capability", [API])
        assert set(refusal["who_has"][API]) == able
        assert all(f"@{other}" in refusal["fix"] for other in able)


@promise("HND2")
async def test_an_acceptance_checks_capabilities_at_the_current_trust_level(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    for member in (builder, tester):
        await member("declare_capabilities", capabilities=[API])
    await owner("create_task", title="work", needs=[API])
    await builder("claim_task", task="T-1")
    offer = (await builder("hand_off", task="T-1", fence=1, to="tester", note="yours"))["offer"]
    await owner("set_policy", name="trust", value="attested")
    refusal = await tester.refused("answer_hand_off", offer=offer, accept=True)
    assert (refusal["code"], "attest tester" in refusal["fix"]) == ("missing_capability", True)
    await owner("declare_capabilities", attest_for="tester", capabilities=[API])
    assert (await tester("answer_hand_off", offer=offer, accept=True))["fence"] == 2


@promise("HND2")
async def test_a_killed_member_is_never_suggested(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, dead = await room.enroll("builder", "dead")
    await dead("declare_capabilities", capabilities=[API])
    await owner("create_task", title="work", needs=[API])
    assert (await builder.refused("claim_task", task="T-1"))["who_has"] == {API: ["dead"]}
    await owner("kill", target="dead", reason="gone")
    assert (await builder.refused("claim_task", task="T-1"))["who_has"] == {API: []}


@promise("HND2")
async def test_a_refusal_says_how_a_capability_can_count(room: RunningRoom, tmp_path: Path) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("set_policy", name="trust", value="proven")
    await owner("create_task", title="work", needs=[API])
    assert "declare_capabilities" in (await builder.refused("claim_task", task="T-1"))["fix"]
    await builder("declare_capabilities", capabilities=[API])
    assert f"teamroom plant {API}" in (await builder.refused("claim_task", task="T-1"))["fix"]
    value = (await owner("plant", capability=API, file=str(tmp_path / "proof")))["value"]
    assert "check_in" in (await builder.refused("claim_task", task="T-1"))["fix"]
    stands(tmp_path / "proof", value)
    await prove(builder, tmp_path)
    assert (await builder("claim_task", task="T-1"))["task"] == "T-1"


# ------------------------------------------------------------------ the rule by itself

times = st.none() | st.integers(0, 1000).map(float)


@promise("HND2")
@given(times, times, times, st.integers(0, 1000).map(float))
def test_a_capability_that_counts_at_a_stricter_level_counts_at_every_looser_one(
    proven: float | None, attested: float | None, failed: float | None, now: float
) -> None:
    reach = Reach(proven, attested, failed)
    counted = [reach.counts(level, now) for level in ("proven", "attested", "declared")]
    assert counted == sorted(counted)
    assert COUNTS["proven"] < COUNTS["attested"] < COUNTS["declared"]
    assert reach.counts("proven", now) == (proven is not None and proven > now)


@pytest.fixture(scope="module")
def board() -> Iterator[sqlite3.Connection]:
    """A database with one open task and one member that declares what it needs."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    migrate(connection, 0.0)
    add = sqlite_statements()
    task = {"id": 1, "title": "", "detail": "", "priority": 0, "due": None, "creator": 2, "now": 0, "seq": 1}
    connection.execute(add["add_task"], {**task, "assigned": None, "review": "auto", "requires": ""})
    connection.execute(add["add_need"], {"task": 1, "need": API})
    connection.execute(add["declare_capability"], {"member": 3, "capability": API, "now": 0})
    yield connection
    connection.close()


@promise("HND2")
@given(times, times, times, st.integers(0, 1000).map(float), st.sampled_from(sorted(COUNTS)))
def test_the_statement_that_finds_work_matches_the_rule(
    board: sqlite3.Connection,
    proven: float | None,
    attested: float | None,
    failed: float | None,
    now: float,
    trust: TrustLevel,
) -> None:
    facts = "update capability set proven_until = ?, attested_until = ?, failed_at = ?"
    board.execute(facts, [proven, attested, failed])
    best = sqlite_statements()["best_open_task"]
    about = {"member": 3, "owner": 2, "assigned": 0, "first_need": API, "looked_at": 1}
    found = board.execute(best, {**about, "now": now, "trust": trust}).fetchone()
    assert (found is not None) == Reach(proven, attested, failed).counts(trust, now)


# ------------------------------------------------------------------ the shell


@promise("CAP1")
async def test_the_shell_plants_lists_and_attests(room: RunningRoom, tmp_path: Path) -> None:
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
    (builder,) = await room.enroll("builder")
    await builder("declare_capabilities", capabilities=[API, "tool:docker"])
    proof = tmp_path / "proof"
    done = await shell.here("plant", API, "--file", str(proof))
    assert done.code == 0, done.err
    value = proof.read_text().strip()
    assert value.startswith("teamroom-proof-")
    assert value not in done.out + done.err
    await prove(builder, tmp_path)
    printed = await shell.here("plant", "tool:docker", "--print", "--read", "docker run --rm acme/proof")
    assert printed.out.strip().startswith("teamroom-proof-")
    assert len(printed.out.split()) == 1
    listed = (await shell.here("plant")).out
    assert API in listed
    assert "teamroom-proof-" not in listed
    assert "attested" in (await shell.here("attest", "builder", "tool:docker")).out
    roster = (await shell.here("roster", "builder")).out
    assert "tool:docker (declared" in (await shell.here("attest", "builder", "tool:docker", "--withdraw")).out
    assert f"{API} (proven by @olga" in roster
    assert "tool:docker (attested by @olga" in roster
    assert (await shell.here("plant", API, "--remove")).code == 0


@promise("CAP2")
async def test_the_shell_never_overwrites_a_file_with_other_content(room: RunningRoom, tmp_path: Path) -> None:
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
    mine = tmp_path / "notes.txt"
    mine.write_text("my own")
    done = await shell.here("plant", API, "--file", str(mine))
    assert (done.code, mine.read_text()) == (2, "my own")
    assert (await shell.here("plant", API, "--file", str(tmp_path / "no" / "proof"))).code == 1
    found = await (await room.owner()).client.read_resource("teamroom://plants")
    assert json.loads(found.contents[1].text)["plants"] == []
    assert not any(name.startswith(".") for name in os.listdir(tmp_path))


@promise("CAP2")
async def test_an_agents_shell_does_not_plant(room: RunningRoom, tmp_path: Path) -> None:
    await room.enroll("builder")
    token = token_file(tmp_path / "token", room.tokens["builder"])
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
    done = await shell.here("plant", API, "--file", str(tmp_path / "proof"), "--token-file", str(token))
    assert (done.code, (tmp_path / "proof").exists()) == (3, False)
