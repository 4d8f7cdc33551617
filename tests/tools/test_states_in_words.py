"""States are written in words: of what the room writes, only names that a reader types or looks up have underscores."""

import re
from typing import Any, get_args

import pytest

from teamroom.server.acts.tasks import claims
from teamroom.server.refusals import CODES
from teamroom.server.store.rows.tasks import TaskState
from teamroom.tools.serve import TOOLS
from teamroom.tools.words import tasks as words_of_tasks
from tests.support.hostile import Shown
from tests.support.promises import house
from tests.support.rooms import RunningRoom

pytestmark = house

TYPED = {"on_demand", "send_back"}
"""Values that a reader gives as they are: a mode and a verdict."""

UNDERSCORED = re.compile(r"(?<![\w/`])[a-z]+(?:_[a-z]+)+(?!\w)")

RESOURCES_OF_TASKS = (
    "teamroom://board",
    "teamroom://me",
    "teamroom://inbox",
    "teamroom://stream",
    "teamroom://overnight",
)


def names() -> set[str]:
    """Tools, their arguments, policy and the codes of refusals."""
    schemas = [tool.definition.input_schema for tool in TOOLS.values()]
    policy = TOOLS["set_policy"].definition.input_schema["properties"]["name"]["description"].split(", ")
    return {*TOOLS, *CODES, *policy, *TYPED, *(name for schema in schemas for name in properties(schema))}


def properties(schema: dict[str, Any]) -> set[str]:
    """The names in a schema, at any depth."""
    inside = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return set(schema.get("properties", {})).union(*map(properties, inside))


def raw_values(words: list[tuple[str, str]]) -> set[str]:
    """What stands in the words as it is stored, with where it stands."""
    known = names()
    return {f"{where}: {raw}" for where, said in words for raw in UNDERSCORED.findall(said) if raw not in known}


class Story:
    """A room in which any task can be brought into any state, with every word that its members are shown."""

    def __init__(self, owner: Shown, builder: Shown, tester: Shown) -> None:
        self.owner, self.builder, self.tester = owner, builder, tester
        self.walls = 0

    @property
    def words(self) -> list[tuple[str, str]]:
        return [pair for shown in (self.owner, self.builder, self.tester) for pair in shown.words]

    async def bring(self, state: TaskState) -> str:
        """A new task in a state, held and completed by @builder where somebody holds it."""
        self.walls += 1
        task = str((await self.owner("create_task", title=f"wall {self.walls}", review="tester"))["task"])
        fenced = {"task": task, "fence": 1}
        if state == "cancelled":
            await self.owner("update_task", task=task, status="cancelled")
        elif state != "open":
            await self.builder("claim_task", task=task)
        if state == "blocked":
            await self.builder("update_task", **fenced, status="blocked", blocked_on="3600", note="stone")
        elif state == "offered":
            await self.builder("hand_off", **fenced, to="tester", note="yours")
        elif state in ("in_review", "done"):
            await self.builder("complete_task", **fenced, summary="it holds", evidence=[])
        if state == "done":
            await self.tester("review_task", task=task, verdict="accept", note="it does")
        shown = await self.owner("read_board", task=task)
        assert shown["task"]["state"] == state
        return task


def calls(task: str) -> dict[str, dict[str, Any]]:
    """A call of every tool that changes a task."""
    fenced = {"task": task, "fence": 1}
    return {
        "claim_task": {"task": task},
        "complete_task": {**fenced, "summary": "it holds", "evidence": []},
        "review_task": {"task": task, "verdict": "send_back", "note": "it leans"},
        "hand_off": {**fenced, "to": "tester", "note": "yours"},
        "heartbeat": {"task": task, "note": "half of it", "busy_until": 60},
        "update_task": {**fenced, "note": "half of it"},
        "update_task released": {**fenced, "status": "released"},
        "update_task without a fence": {"task": task, "note": "half of it"},
        "update_task cancelled": {"task": task, "status": "cancelled"},
    }


async def told(room: RunningRoom, state: TaskState) -> list[tuple[str, str]]:
    """All that three members are shown who try everything with a task in a state, and then look around."""
    await room.enroll("builder", "tester")
    story = Story(*[Shown(await room.connect(name)) for name in ("olga", "builder", "tester")])
    await story.owner("set_policy", name="wip_cap", value="50")
    task = await story.bring(state)
    for member in (story.builder, story.tester, story.owner):
        for name in calls(task):
            await member(name.partition(" ")[0], **calls(task)[name])
            if not member.words[-1][0].endswith("(refused)"):
                task = await story.bring(state)
    for member in (story.builder, story.tester, story.owner):
        await member("check_in")
        await member("wait_for_wake", timeout_seconds=0)
        await member("read_board", state="all")
        await member("read_receipts", limit=100)
        await member("overnight")
        for uri in (*RESOURCES_OF_TASKS, f"teamroom://tasks/{task}"):
            await member.read(uri)
        await member.ask_all()
    return story.words


@pytest.mark.parametrize("state", get_args(TaskState))
async def test_each_reply_and_refusal_about_a_task_writes_its_state_in_words(
    room: RunningRoom, state: TaskState
) -> None:
    words = await told(room, state)
    assert {name.partition(" ")[0] for name in calls("T-1")} <= {where.partition(" ")[0] for where, _ in words}
    assert raw_values(words) == set()


async def test_a_state_that_is_not_in_words_would_be_found(room: RunningRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: states written as they are stored."""
    for module in (words_of_tasks, claims):
        monkeypatch.setattr(module, "state_in_words", lambda state: state)
    found = raw_values(await told(room, "in_review"))
    assert {"read_board: in_review", "teamroom://board: in_review", "claim_task (refused): in_review"} <= found
