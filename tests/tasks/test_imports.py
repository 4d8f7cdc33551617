"""Tasks that exist elsewhere: each is created once, and an import changes only what nobody has changed here since."""

from typing import Any

import anyio.to_thread
import pytest

from teamroom.clients.local.verify import verified
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom

pytestmark = promise("TSK4", "LOG4")

ELSEWHERE = "beads:bd-1"


async def imported(owner: Member, external: str = ELSEWHERE, **more: Any) -> tuple[str, list[str]]:
    """What an import of a task did, and in what the task differs."""
    reply = await owner("import_task", **{"title": "Fix the watcher", **more}, external=external)
    return reply["outcome"], reply["differs"]


async def shown(owner: Member, task: str = "T-1") -> dict[str, Any]:
    return dict((await owner("read_board", task=task))["task"])


async def test_an_external_id_makes_one_task_whoever_calls_and_whatever_became_of_it(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    given = {"title": "Fix it", "external": "bd-100", "due": 600, "depends_on": []}
    first = await builder("create_task", **given)
    await owner("update_task", task="T-1", changes={"title": "Fix it well"})
    again = await tester("create_task", **given)
    assert (first["task"], again["task"], again["receipt"]) == ("T-1", "T-1", None)
    assert again["replayed"] is not None
    fence = (await builder("claim_task", task="T-1"))["fence"]
    await builder("complete_task", task="T-1", fence=fence, summary="fixed", evidence=[])
    assert (await tester("create_task", **given))["task"] == "T-1"

    refusal = await tester.refused("create_task", **{**given, "title": "Fix all"})
    assert (refusal["code"], refusal["task"]) == ("conflict", "T-1")
    assert "T-1 already has the external id bd-100" in refusal["why"]
    assert (await builder("create_task", **{**given, "external": "bd-101"}))["task"] == "T-2"
    assert (await shown(owner))["external"] == "bd-100"


async def test_a_task_that_was_finished_elsewhere_is_done_by_import_and_keeps_its_dates(room: RunningRoom) -> None:
    owner = await room.owner()
    closed = {"done": True, "created_at": 1_600_000_000, "closed_at": 1_700_000_000.5, "summary": "It was a typo"}
    assert await imported(owner, **closed) == ("created", [])
    task = await shown(owner)
    assert (task["state"], task["completed_by"], task["upheld"]) == ("done", "import", None)
    assert (task["created_at"], task["completed_at"]) == ("2020-09-13T12:26:40Z", "2023-11-14T22:13:20Z")
    _, words, _ = await owner.said("read_board", task="T-1")
    assert "done by import at 2023-11-14T22:13:20Z: “It was a typo”" in words
    entry = room.entries()[-1]
    assert (entry["act"], entry["subject"]) == ("import_task", "T-1")
    assert entry["summary"] == "@olga imported T-1, done by import: “Fix the watcher”"
    refusal = await owner.refused("enroll", name="import")
    assert "reserved" in refusal["why"]


async def test_a_summary_of_what_is_not_done_is_left_out_of_the_task_and_of_the_log(room: RunningRoom) -> None:
    owner = await room.owner()
    assert await imported(owner, summary="half of it works") == ("created", [])
    assert (await shown(owner))["summary"] == ""
    verdict = await anyio.to_thread.run_sync(verified, room.folder)
    assert verdict.good, verdict


async def test_a_repeated_import_changes_what_nobody_changed_here_and_names_the_rest(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    for external in ("a", "b", "c", "d"):
        await imported(owner, external, title=external)
    receipts = len(room.entries())
    assert [await imported(owner, external, title=external) for external in "abcd"] == [("unchanged", [])] * 4
    assert len(room.entries()) == receipts

    await owner("update_task", task="T-1", changes={"title": "ours"})
    await builder("claim_task", task="T-2")
    await owner("update_task", task="T-3", status="cancelled")
    await owner("update_task", task="T-4", note="a note changes nothing of the task")
    assert await imported(owner, "a", title="theirs", priority=2) == ("kept", ["title", "priority"])
    assert await imported(owner, "b", title="b") == ("unchanged", [])
    assert await imported(owner, "b", title="theirs", done=True) == ("kept", ["title", "state"])
    assert await imported(owner, "c", title="c", done=True) == ("unchanged", [])
    assert await imported(owner, "c", title="c") == ("kept", ["state"])
    assert await imported(owner, "d", title="theirs", done=True) == ("changed", ["title", "state"])
    assert await imported(owner, "d", title="theirs", done=True, closed_at=1e9) == ("changed", ["closed_at"])
    assert await imported(owner, "d", title="theirs", detail="again") == ("changed", ["detail", "state", "closed_at"])
    titles = [task["title"] for task in (await owner("read_board", state="all"))["tasks"]]
    assert titles == ["ours", "b", "c", "theirs"]
    assert (await shown(owner, "T-4"))["completed_at"] is None
    await imported(owner, "e", title="e", depends_on=["d"])
    await imported(owner, "d", title="theirs", done=True)
    assert (await builder("claim_task", task="T-5"))["task"] == "T-5"
    verdict = await anyio.to_thread.run_sync(verified, room.folder)
    assert verdict.good, verdict.why
    assert verdict.verification.rebuilt["origin"] == 5


async def test_dependencies_are_named_by_their_ids_elsewhere(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await imported(owner, "first")
    reply = await owner("import_task", external="second", title="Second", depends_on=["first", "nowhere", "nothing"])
    assert reply["missing"] == [1, 2]
    assert [d["task"] for d in (await shown(owner, "T-2"))["depends_on"]] == ["T-1"]
    assert await imported(owner, "second", title="Second") == ("unchanged", [])
    refusal = await owner.refused("import_task", external="first", title="Fix the watcher", depends_on=["second"])
    assert "would wait for each other" in refusal["why"]
    await imported(owner, "nowhere")
    assert await imported(owner, "second", title="Second", depends_on=["nowhere"]) == ("changed", ["depends_on"])
    assert (await builder.refused("claim_task", task="T-2"))["code"] == "conflict"
    assert await imported(owner, "nowhere", done=True) == ("changed", ["state"])
    assert (await builder("claim_task", task="T-2"))["task"] == "T-2"


async def test_only_people_import_and_each_their_own(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder", role="operator")
    (ann,) = await room.enroll("ann", kind="human", role="member")
    refusal = await builder.refused("import_task", external="a", title="A", done=True)
    assert (refusal["code"], "teamroom import FILE" in refusal["fix"]) == ("not_allowed", True)
    assert await imported(owner, "a", title="A") == ("created", [])
    assert (await ann.refused("import_task", external="a", title="B"))["code"] == "not_allowed"
    assert await imported(ann, "b", title="B") == ("created", [])
    assert await imported(owner, "b", title="BB") == ("changed", ["title"])


@pytest.mark.parametrize("how", ["task", "age"])
async def test_an_import_does_not_bring_back_what_was_redacted(room: RunningRoom, how: str) -> None:
    owner = await room.owner()
    await imported(owner, detail="hunter2", done=True)
    await owner("create_task", external="own", title="hunter2")
    await owner("update_task", task="T-2", status="cancelled")
    room.time.forward(7200)
    if how == "task":
        for task in ("T-1", "T-2"):
            await owner("redact", what=task, reason="a password")
    else:
        await owner("redact", older_than_seconds=3600, reason="old")
    assert (await shown(owner))["external"] is None
    assert await imported(owner, detail="hunter2", done=True) == ("kept", ["redacted"])
    assert "and was redacted" in (await owner.refused("create_task", external="own", title="hunter2"))["why"]
    assert "hunter2" not in str((await owner("read_board", state="all"))["tasks"])
    verdict = await anyio.to_thread.run_sync(verified, room.folder)
    assert verdict.good, verdict.why
