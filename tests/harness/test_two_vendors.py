"""Two vendors' harnesses work in one room: they ask, claim, hand over with proof, review, and stop when paused.

The binaries and their MCP calls are real; only the models are scripts, and these know nothing but what they saw.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.harnesses import Agent, Harness, Seat
from tests.harness.install import lacking
from tests.harness.room import OWNER, RoomOfProcesses, room_of_processes
from tests.harness.script import RunCommand, Seen, Step, Thought, Turn, UseTool, read, use
from tests.harness.vendors import CLAUDE_CODE, CODEX
from tests.support.promises import promise

LACKING = lacking("claude", "codex")

pytestmark = [
    pytest.mark.harness,
    pytest.mark.skipif(bool(LACKING), reason=f"make test-harnesses installs them: {'; '.join(LACKING)}"),
]

TASK, MESSAGE, OFFER = r"\b(T-\d+)\b", r"\b(M-\d+)\b", r"\b(O-\d+)\b"
FENCE = r"\bfence\W{1,3}(\d+)"
SHA256 = r"\b([0-9a-f]{64})\b"
PROBE_COMMAND = r"(printf %s[^|]*\| sha256sum)"
PROVING_COMMAND = r"(sha256sum -- [\w./-]+)"

PLAN = "build, then test"
PAUSE_REASON = "the disk of the build machine is full"
KILL_REASON = "it ran wild"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything of this module lives."""
    return tmp_path_factory.mktemp("two_vendors")


@pytest.fixture(scope="module")
def room(folder: Path) -> Iterator[RoomOfProcesses]:
    """The one room that all of this happens in."""
    with room_of_processes(folder / "room") as running:
        yield running


@pytest.fixture(scope="module")
def builder(room: RoomOfProcesses, folder: Path) -> Agent:
    """@builder, which is Claude Code."""
    return seated("builder", CLAUDE_CODE, room, folder)


@pytest.fixture(scope="module")
def tester(room: RoomOfProcesses, folder: Path) -> Agent:
    """@tester, which is Codex."""
    return seated("tester", CODEX, room, folder)


def seated(name: str, harness: Harness, room: RoomOfProcesses, folder: Path) -> Agent:
    """Enroll a member and give it a home, and the work folder that all share."""
    enrolled = room.enroll(name)
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return Agent(name, harness, Seat(enrolled["token"], enrolled["url"], folder / name, work))


@promise("ID1")
def test_a_task_goes_through_two_harnesses_and_its_file_is_proven(
    room: RoomOfProcesses, builder: Agent, tester: Agent
) -> None:
    created = room.owner("create_task", title="Write the plan", review="tester")
    task = created["task"]

    asked = builder.work(use("post_message", text=f"@tester please write plan.md: {task}", kind="ask", to=["tester"]))
    wrote = tester.work(use("check_in"), read_what_woke_me, claim_what_was_asked, write_the_plan, offer_the_plan)
    proved = builder.work(use("check_in"), run_the_command_of_the_offer, accept_with_its_output, complete_the_task)
    judged = tester.work(use("check_in"), accept_what_waits_for_my_review)

    assert read(MESSAGE, asked[0]) == read(MESSAGE, wrote[0])
    plan = hashlib.sha256((builder.seat.folder / "plan.md").read_bytes()).hexdigest()
    assert plan not in proved[0], "the offer shows the hash that it asks for"
    assert read(SHA256, proved[1]) == plan
    assert int(read(FENCE, proved[2])) > int(read(FENCE, wrote[2]))
    assert "done" in judged[1]
    assert room.owner("read_board", task=task)["task"]["state"] == "done"
    assert acts_of_agents(room, created["receipt"]) == [
        ("builder", "post_message"),
        ("tester", "claim_task"),
        ("tester", "hand_off"),
        ("builder", "answer_hand_off"),
        ("builder", "complete_task"),
        ("tester", "review_task"),
    ]


@promise("CAP2")
@pytest.mark.parametrize("name", ["builder", "tester"])
def test_a_harness_proves_what_it_reaches_with_the_command_that_the_room_shows(
    room: RoomOfProcesses, name: str, request: pytest.FixtureRequest
) -> None:
    agent: Agent = request.getfixturevalue(name)
    capability, file = f"repo:acme/{name}", f"proof of {name}.txt"
    planted = room.owner("plant", capability=capability, file=file)
    (agent.seat.folder / file).write_text(planted["value"] + "\n")

    seen = agent.work(
        use("declare_capabilities", capabilities=[capability]),
        run_the_command_of_the_probe,
        answer_the_probe_with_its_output(capability),
    )

    assert planted["value"] not in "".join(seen)
    (member,) = room.owner("who", name=name)["members"]
    assert [(c["capability"], c["state"]) for c in member["capabilities"]] == [(capability, "proven")]


@promise("CTL2")
@pytest.mark.parametrize("name", ["builder", "tester"])
def test_a_pause_refuses_the_next_call_of_a_running_harness_until_it_is_resumed(
    room: RoomOfProcesses, name: str, request: pytest.FixtureRequest
) -> None:
    agent: Agent = request.getfixturevalue(name)
    before_pause, before_resume = Thought(), Thought()
    while_paused, after_resume = f"{name} works on all the same", f"{name} goes on"

    with agent.at_work(
        use("check_in"),
        before_pause.before(use("post_message", text=while_paused)),
        before_resume.before(use("post_message", text=after_resume)),
    ) as run:
        before_pause.wait()
        room.owner("pause", target=name, reason=PAUSE_REASON)
        before_pause.end()
        before_resume.wait()
        room.owner("resume", target=name, reason="there is room again")
        before_resume.end()
        seen = run.finish()

    assert "paused" in seen[1]
    assert PAUSE_REASON in seen[1]
    assert read(MESSAGE, seen[2])
    texts = [message["text"] for message in room.owner("read_messages")["messages"]]
    assert while_paused not in texts
    assert after_resume in texts


@promise("CTL3")
@pytest.mark.parametrize("harness", [CODEX, CLAUDE_CODE], ids=lambda harness: harness.command)
def test_a_kill_ends_a_running_harness_and_none_of_its_later_calls_are_carried_out(
    room: RoomOfProcesses, folder: Path, harness: Harness
) -> None:
    name = f"doomed-{harness.command}"
    agent = seated(name, harness, room, folder)
    before_kill = Thought()
    after_kill = f"{name} works on all the same"

    with agent.at_work(use("check_in"), before_kill.before(use("post_message", text=after_kill))) as run:
        before_kill.wait()
        killed = room.owner("kill", target=name, reason=KILL_REASON)
        before_kill.end()
        seen = run.finish()

    assert f"@{name} was killed by @{OWNER}: “{KILL_REASON}”" in seen[1], "its model is told who ended it, and why"
    assert acts_of(room, name, killed["receipt"]) == []


# ------------------------------------------------------------------ the scripts' steps: what to do with what was seen


def read_what_woke_me(seen: Seen) -> Turn:
    return UseTool("read_messages", {"ids": [read(MESSAGE, seen[0])]})


def claim_what_was_asked(seen: Seen) -> Turn:
    return UseTool("claim_task", {"task": read(TASK, seen[1])})


def write_the_plan(seen: Seen) -> Turn:
    return RunCommand(f"echo '{PLAN}' > plan.md && sha256sum plan.md")


def offer_the_plan(seen: Seen) -> Turn:
    artifact = {"kind": "file", "ref": "plan.md", "sha256": read(SHA256, seen[3])}
    arguments = {"task": read(TASK, seen[2]), "fence": int(read(FENCE, seen[2])), "to": "builder"}
    return UseTool("hand_off", {**arguments, "note": "The plan stands, please check it.", "artifacts": [artifact]})


def run_the_command_of_the_offer(seen: Seen) -> Turn:
    return RunCommand(read(PROVING_COMMAND, seen[0]))


def accept_with_its_output(seen: Seen) -> Turn:
    proof = {"ref": "plan.md", "value": read(SHA256, seen[1])}
    return UseTool("answer_hand_off", {"offer": read(OFFER, seen[0]), "accept": True, "proofs": [proof]})


def run_the_command_of_the_probe(seen: Seen) -> Turn:
    return RunCommand(read(PROBE_COMMAND, seen[0]))


def answer_the_probe_with_its_output(capability: str) -> Step:
    def answer(seen: Seen) -> Turn:
        proof = {"capability": capability, "value": read(SHA256, seen[1])}
        return UseTool("declare_capabilities", {"proofs": [proof]})

    return answer


def complete_the_task(seen: Seen) -> Turn:
    evidence = {"kind": "file", "ref": "plan.md", "value": read(SHA256, seen[1])}
    arguments = {"task": read(TASK, seen[2]), "fence": int(read(FENCE, seen[2]))}
    return UseTool("complete_task", {**arguments, "summary": "The plan is written.", "evidence": [evidence]})


def accept_what_waits_for_my_review(seen: Seen) -> Turn:
    return UseTool("review_task", {"task": read(TASK, seen[0]), "verdict": "accept", "note": "The hash is right."})


def acts_of(room: RoomOfProcesses, name: str, after: int) -> list[str]:
    return [r["act"] for r in room.owner("read_receipts", after=after, actor=name)["receipts"] if r["outcome"] == "ok"]


def acts_of_agents(room: RoomOfProcesses, after: int) -> list[tuple[str, str]]:
    receipts = room.owner("read_receipts", after=after)["receipts"]
    return [(r["actor"], r["act"]) for r in receipts if r["actor"] in ("builder", "tester")]
