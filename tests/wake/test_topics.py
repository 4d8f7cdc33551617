"""Each act states the topics of what it changes, next to what it writes: state before and topics give state after."""

import ast
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from teamroom.resources.serve import ResourceServer, find
from teamroom.server.acts.act import Act
from teamroom.server.acts.approvals.approvals import PASS_CALL, PassCall
from teamroom.server.door.door import UnauthorisedError
from teamroom.server.http.transports import caller_of
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.rules.local_calls import read_call
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Writing
from teamroom.tools.serve import TOOLS
from tests.support.planting import API, run, stands
from tests.support.promises import house
from tests.support.repository import ROOT
from tests.support.rooms import RunningRoom, StillTime, running_room

pytestmark = house

HOUR = 3600.0

# ------------------------------------------------------------------ every statement

SILENT = {
    "presence, which every call moves": {
        "add_presence",
        "touch_presence",
        "touch_run",
        "record_progress",
        "record_note",
    },
    "how long members take, which moves with their calls": {
        *("add_answer_time", "forget_answer_times", "see", "note_acted"),
    },
    "one's own cursor, and what is kept for repeats": {
        *(
            "acknowledge",
            "join_epoch",
            "remember_request",
            "forget_requests",
            "forget_replies",
            "take_reply",
            "take_key",
            "note_look",
        ),
    },
    "servers of the room and their duties, which nothing shows": {
        *("sign_of_server", "forget_servers", "end_server", "take_lease", "keep_lease", "end_leases"),
    },
    "links to sign in with, which nothing shows": {"put_sign_in", "drop_sign_in"},
    "what goes with a write that states its topics": {
        *("add_message", "add_addressee", "close_offer", "add_pause", "end_pauses", "index_messages"),
        "reserve_name",
        *(
            "unindex_message",
            "tidy_messages",
            "tidy_tasks",
            "take_offer",
            "take_task_entries",
            "take_content",
            "take_message",
        ),
        *(
            "take_wakes",
            "take_wakes_about",
            "take_wake_subjects",
            "take_reason",
            "close_refusal",
            "open_refusal",
            "count_refusal",
        ),
        *("keep_part", "forget_refusal", "forget_note"),
        *("add_need", "drop_needs", "add_dependency", "drop_dependencies", "move_task"),
        *("add_origin", "renew_origin", "hide_origin"),
    },
    "tokens and probes, which no page shows": {
        *("add_token", "revoke_tokens", "revoke_token", "open_probe", "close_probe", "close_probes"),
        "mark_chat_tokens",
    },
    "whether a call has passed, which only its entry in the log shows": {
        *("add_approval", "use_approval", "take_approval", "void_approvals_of"),
    },
    "which confirmations were used up, which no page shows": {"use_confirmation", "forget_confirmations"},
    "timers, and the ledger of reminders, which are read with what they are about": {
        *(
            "schedule",
            "schedule_both",
            "postpone",
            "postpone_failed",
            "count_slot",
            "cancel_timer",
            "look_sooner",
            "look_again",
        ),
        *("schedule_both", "check_presence_by", "count_wrong_answer"),
        *("add_reminder", "check_leases_by", "note_connected", "note_evidence", "ask_later"),
        *("take_supervisor", "keep_supervisor"),
    },
    "whose turn it is after a pause of several, which the wake at that turn states": {
        *("hold_back", "let_go", "forget_held_back"),
    },
    "what the log records of an act that states its topics": {"amend_entry", "append_entry", "begin_recording"},
    "what people are to be told outside the room, of which letters tell; old ones go": {
        *("add_notice", "schedule_letter", "put_in_letter", "drop_notice", "drop_notices", "drop_told_notices"),
        "forget_deliveries",
    },
    "which member a task repairs, which goes with the task": {"add_repair"},
    "the counts of refused calls, which only the morning report shows": {"add_refused_calls", "forget_refused_calls"},
    "who listens, which no page shows": {"take_listener"},
    "how many runs in a row answered nothing, which nothing shows": {"count_lost_runs"},
    "the store's own": {"open_head", "save_head", "record_migration", "touch_entries"},
    "the index of words, which only a search reads": {
        *("index_older_messages", "index_tasks", "note_indexed_tasks", "tidy_messages", "tidy_tasks"),
    },
    "a room that is opened or restored has no listeners yet": {
        "open_standing",
        *("begin_epoch", "void_open_offers", "note_freed_tasks", "free_every_task", "raise_fences"),
        *("forget_every_request", "forget_every_probe", "end_declared_work", "revoke_by_id"),
        *("forget_every_notice", "forget_every_letter", "watch_tokens_of_all"),
    },
}
"""Statements that state no topic, by the reason."""

RESTORE = ROOT / "server" / "acts" / "control" / "restore.py"

STATES = (
    "changed",
    "task_added",
    "task_changed",
    "member_changed",
    "standing_changed",
    "decision_changed",
    "authorization_changed",
    "rule_changed",
)
"""The functions by which an act states topics."""


def test_every_function_that_writes_states_topics_or_is_silent_for_a_reason() -> None:
    """A statement that is added later must say what it changes, in the function that runs it."""
    quiet = set[str]().union(*SILENT.values())
    first_words = ("insert", "update", "delete", "replace")
    writing = {name for name, text in sqlite_statements().items() if text.lower().startswith(first_words)}
    assert quiet <= writing, quiet - writing
    assert list(forgotten(quiet)) == []
    assert len(list(forgotten(set(), states=()))) > 60, "the guard found no writes"


def forgotten(quiet: set[str], states: tuple[str, ...] = STATES) -> Iterator[str]:
    """The writes in functions that state no topic."""
    for path in sorted((ROOT / "server").rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef) or path == RESTORE:
                continue
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
            if any(name_of(call) in states for call in calls):
                continue
            for call in calls:
                name = call.args[0] if name_of(call) == "run" and call.args else None
                if isinstance(name, ast.Constant) and name.value not in quiet:
                    yield f"{path.name}: {function.name} runs {name.value}"


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


# ------------------------------------------------------------------ every act


def without_cursor(text: str) -> str:
    """A resource without the end of the log, up to which it was read: each entry moves it, and it says nothing new."""
    return re.sub(r'cursor"?[: ] ?[0-9]+', "", text)


READERS = ("olga", "builder", "tester")
"""The members through whose eyes the test looks at what all may read: a person, and two agents that do the most."""

SILENT_ABOUT: dict[str, Callable[[str], set[str]]] = {
    "heartbeat": lambda who: {"roster", f"members/{who}"},
    "update_task": lambda who: {"roster", f"members/{who}"},
    "check_in": lambda who: {f"{who} me", f"{who} inbox", "roster", f"members/{who}"},
    "review_task": lambda who: {"tasks/T-2"},
    "redact": lambda who: {"inbox", *(f"tasks/T-{number}" for number in range(1, 7))},
}
"""What a call changes and does not state.

Presence, which every call moves, and one's own cursor; a completer's share of upheld claims on its other tasks; words
that were redacted from wakes and histories.
"""


@dataclass
class Watched:
    """A room in which each step is checked: what changed in any resource of any member, its topics were stated."""

    room: RunningRoom
    folder: Path
    fences: dict[str, int] = field(default_factory=dict)
    stated: set[str] = field(default_factory=set)
    acts: set[str] = field(default_factory=set)
    missed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.room.room.push.changed = self.stated.update  # type: ignore[method-assign]
        self._resources = ResourceServer(self.room.room.door, caller_of, self.room.room.faults)
        self._seen: dict[tuple[str, str], str | None] = {}
        self._tokens = {"olga": self.room.owner_token, **self.room.tokens}

    async def act(self, who: str, tool: str, **arguments: Any) -> Any:
        """A member acts through the door."""
        does: Any = TOOLS[tool].does
        self.acts.add(tool)
        reply: Any = None

        async def step() -> None:
            nonlocal reply
            reply = await self.room.room.door.act(
                await self.caller(who), does, TOOLS[tool].arguments.model_validate(arguments)
            )

        await self.check(f"{who}: {tool} {arguments}", step, SILENT_ABOUT.get(tool, lambda who: set())(who))
        return reply

    async def pass_call(self, who: str, command: str) -> Any:
        """The gate of a member's harness asks whether a command may run."""
        call = read_call({"tool_name": "Bash", "tool_input": {"command": command}})
        reply: Any = None

        async def step() -> None:
            nonlocal reply
            arguments = PassCall(call=call, harness="claude")
            reply = await self.room.room.door.act(await self.caller(who), PASS_CALL, arguments)

        await self.check(f"{who}: {command}", step)
        return reply

    async def later(self, seconds: float) -> None:
        """Time passes, and then the supervisor does what is due; what time alone changes is not its doing."""
        self.room.time.forward(seconds)
        self._seen = {}
        await self.check(f"{seconds} s later", self.room.room.supervisor.tick)
        await self.check(f"letters {seconds} s later", self.room.delivered)

    async def check(self, what: str, step: Callable[[], Any], silent: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        """Compare every resource of every member before a step and after it, but for what it is silent about."""
        before = self._seen or await self.first_look()
        self.stated.clear()
        await step()
        after = self._seen = await self.snapshot()
        for key in before.keys() & after.keys():
            text, text_after = before[key], after[key]
            is_silent = key[1] in silent or f"{key[0]} {key[1]}" in silent
            if None in (text, text_after) or text == text_after or is_silent:
                continue
            if not await self.topics(*key) & self.stated:
                self.missed.append(f"{what} changed {key[1]} of {key[0]} and stated {sorted(self.stated)}")

    async def first_look(self) -> dict[tuple[str, str], str | None]:
        """A snapshot after the reads of a while were noted as presence, which they are once."""
        await self.snapshot()
        return await self.snapshot()

    async def snapshot(self) -> dict[tuple[str, str], str | None]:
        """The text of each resource of each member; None where it is refused."""
        head = self.room.room.store.committed
        tasks = range(1, 1 + (head.tasks if head is not None else 0))
        names = list(self._tokens)
        of_all = ["stream", "board", "roster", "policy", "plants", "channels", "decisions"]
        of_all += [f"tasks/T-{task}" for task in tasks] + [f"members/{name}" for name in names]
        found: dict[tuple[str, str], str | None] = {}
        for name in names:
            uris = ["me", "inbox", *(of_all if name in READERS else ())]
            try:
                caller = await self.caller(name)
            except (Refusal, UnauthorisedError):
                found |= dict.fromkeys((name, uri) for uri in uris)
                continue
            for uri in uris:
                found[name, uri] = await self.look(caller, f"teamroom://{uri}")
        return found

    async def look(self, caller: Caller, uri: str) -> str | None:
        try:
            read = await self._resources.read_as(uri, caller)
        except (Refusal, UnauthorisedError):
            return None
        return without_cursor(str(read.contents))

    async def topics(self, name: str, path: str) -> frozenset[str]:
        """The topics that a member follows with a resource."""
        resource, arguments = find(f"teamroom://{path}")
        assert resource.topics is not None
        caller = await self.caller(name)
        found = await self.room.room.door.read(caller, resource.found_by or resource.reads, arguments)
        return resource.topics_for(caller, arguments, found)

    def fence(self, task: str) -> int:
        """The fence of a task now."""
        return self.room.look_up(lambda tx: tx.only(TaskRow, "task", id=int(task[2:]))).fence

    async def caller(self, name: str) -> Caller:
        return await self.room.room.door.identify(self._tokens[name])

    def knows(self, name: str, token: str) -> None:
        """Look at the room as another member, too."""
        self._tokens[name] = token
        self._seen = {}


@contextlib.asynccontextmanager
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """A room with two people and some agents, one of whom is looked at less than the others."""
    settings = {"presence_write_seconds": 60.0, "repeat_seconds": 0.0, "notify_digest": ""}
    settings["notify"] = {"olga": ["json://127.0.0.1:9/"]}
    async with running_room(tmp_path / "room", time=StillTime(), **settings) as room:  # type: ignore[arg-type]
        await room.enroll("builder", "tester", "planner", mode="live")
        await room.enroll("rex", role="watchdog", mode="live")
        yield Watched(room, tmp_path)


async def play(room: Watched) -> None:
    """Every act at least once, and what the room does by itself."""
    await work(room)
    await hand_over(room)
    await reach(room)
    await talk(room)
    await decide(room)
    await stop_and_go_on(room)
    await be_silent(room)
    await run_the_room(room)


async def work(room: Watched) -> None:
    await room.act("builder", "check_in", mode="every:600")
    await room.act("olga", "create_task", title="paint", needs=["tool:brush"])
    await room.act("olga", "create_task", title="sand", assign="builder", review="none")
    await room.act("olga", "create_task", title="varnish", depends_on=["T-2"])
    await room.act("builder", "declare_capabilities", capabilities=["tool:brush"])
    await room.act("builder", "claim_task", task="T-1")
    await room.act("builder", "heartbeat", note="it goes on", task="T-1", busy_until=600)
    await room.act("builder", "update_task", task="T-1", fence=room.fence("T-1"), note="half of it")
    await room.act("builder", "update_task", task="T-1", fence=room.fence("T-1"), status="blocked", blocked_on="T-2")
    await room.act("builder", "update_task", task="T-1", fence=room.fence("T-1"), status="working", note="again")
    changes = {"title": "paint it red", "priority": 5, "needs": [], "depends_on": ["T-2"]}
    await room.act("olga", "update_task", task="T-1", changes=changes)
    await room.act("builder", "claim_task", task="T-2")
    await room.act("builder", "complete_task", task="T-2", fence=room.fence("T-2"), summary="sanded", evidence=[])
    await room.act("builder", "complete_task", task="T-1", fence=room.fence("T-1"), summary="painted", evidence=[])
    await room.act("olga", "update_task", task="T-1", changes={"review": "@tester"})
    await room.act("tester", "review_task", task="T-1", verdict="send_back", note="not the door")
    await room.act("builder", "complete_task", task="T-1", fence=room.fence("T-1"), summary="painted", evidence=[])
    await room.act("tester", "review_task", task="T-1", verdict="accept", note="well done")
    await room.act("builder", "claim_task", task="T-3")
    await room.act("builder", "update_task", task="T-3", fence=room.fence("T-3"), status="released")
    await room.act("builder", "claim_task", task="T-3")
    await room.act("olga", "update_task", task="T-3", status="released")
    await room.act("olga", "update_task", task="T-3", status="cancelled")


async def hand_over(room: Watched) -> None:
    await room.act("planner", "create_task", title="carry")
    await room.act("builder", "claim_task", task="T-4")
    artifacts = [{"kind": "other", "ref": "a plan"}]
    await room.act(
        "builder", "hand_off", task="T-4", fence=room.fence("T-4"), to="tester", note="yours", artifacts=artifacts
    )
    await room.act("tester", "answer_hand_off", offer="O-1", accept=False, reason="not now")
    await room.act("builder", "hand_off", task="T-4", fence=room.fence("T-4"), to="tester", note="yours now")
    await room.act("tester", "answer_hand_off", offer="O-2", accept=True)
    await room.act("tester", "hand_off", task="T-4", fence=room.fence("T-4"), to="builder", note="back")
    await room.later(25 * HOUR)
    await room.act("tester", "check_in")
    await room.act("builder", "claim_task", task="T-4")


async def reach(room: Watched) -> None:
    file = room.folder / "value.txt"
    await room.act("tester", "declare_capabilities", capabilities=[API])
    stands(file, (await room.act("olga", "plant", capability=API, file=str(file))).value)
    (probe,) = (await room.act("tester", "check_in")).probes
    proof = {"capability": API, "value": run(probe.command, room.folder)}
    await room.act("tester", "declare_capabilities", proofs=[proof])
    await room.act("olga", "plant", capability=API, file=str(file))
    with contextlib.suppress(Refusal):
        await room.act("tester", "declare_capabilities", proofs=[proof])
    await room.act("olga", "plant", capability=API, remove=True)
    await room.act("olga", "declare_capabilities", attest_for="tester", capabilities=[API])
    await room.act("olga", "declare_capabilities", attest_for="tester", capabilities=[API], withdraw=True)
    await room.act("tester", "declare_capabilities", capabilities=[])


async def talk(room: Watched) -> None:
    await room.act("olga", "post_message", text="to all")
    await room.act("olga", "post_message", text="are you there?", to=["tester"], kind="ask")
    await room.act("tester", "post_message", text="yes", reply_to="M-2")
    await room.act("planner", "post_message", text="@builder look", kind="alert", to=["builder"])
    await room.act("builder", "check_in", after=room.room.room.store.committed.seq)  # type: ignore[union-attr]


async def decide(room: Watched) -> None:
    await room.act("tester", "request_decision", question="which colour?", options=["red", "blue"], task="T-4")
    await room.act("tester", "request_decision", question="which red?", replaces="D-1", until=60)
    await room.later(61)
    await room.act("tester", "request_decision", question="paint at all?", task="T-4")
    await room.act("olga", "decide", decision="D-3", option="no", note="it is dry")
    await room.act("tester", "request_decision", question="paint later?")
    await room.act("tester", "request_decision", replaces="D-4")


async def authorise(room: Watched) -> None:
    await room.act("olga", "authorize", to="tester", scope="deploy:staging", uses=3, reason="the demo")
    await room.act("olga", "authorize", to="owner:olga", scope="read:logs")
    await room.act("tester", "check_authorization", scope="deploy:staging")
    await room.act("tester", "check_authorization", scope="deploy:staging", use=True)
    made = await room.act("olga", "create_task", title="deploy", requires=["deploy:staging"], assign="tester")
    await room.act("tester", "claim_task", task=made.task)
    await room.act("olga", "update_task", task=made.task, status="cancelled", changes={"requires": []})
    await room.act("olga", "authorize", revoke="A-1", reason="enough")
    rule = await room.act("olga", "require_approval", to="tester", match="Bash(git push*)", scope="push:app")
    await room.act("olga", "require_approval", to="owner:olga", match="Write")
    asked = await room.pass_call("tester", "git push")
    await room.act("olga", "decide", decision=asked.decision, option="allow")
    assert (await room.pass_call("tester", "git push")).why == ""
    await room.act("olga", "require_approval", remove=rule.rule)


async def stop_and_go_on(room: Watched) -> None:
    for target in ("builder", "owner:olga", "room"):
        await room.act("olga", "pause", target=target, reason="lunch")
        await room.act("olga", "resume", target=target, reason="back")
    await room.act("rex", "declare_capabilities", capabilities=["runtime:planner", "runtime:tester"])
    await room.act("rex", "repair", name="planner", found="it is dead")
    await room.act("rex", "claim_task", task="T-5")
    await room.act("olga", "kill", target="builder", reason="wrong way")
    await room.act("olga", "enroll", name="builder", revive=True, label="second")
    await room.act("olga", "kill", target="planner", reason="over")


async def be_silent(room: Watched) -> None:
    """Members that do not call any more: what the supervisor finds, and reminds of."""
    await room.act("olga", "create_task", title="sweep")
    await room.act("tester", "claim_task", task="T-6")
    await room.act("olga", "post_message", text="@tester are you there?", kind="ask", to=["tester"])
    for _ in range(12):
        await room.later(HOUR / 4)
    await room.act("tester", "heartbeat")
    await room.later(2 * HOUR)


async def run_the_room(room: Watched) -> None:
    await room.act("olga", "set_policy", name="wip_cap", value="7")
    room.knows("fourth", (await room.act("olga", "enroll", name="fourth")).token)
    await room.act("olga", "enroll", name="fourth", role="operator", label="second")
    await room.act("olga", "revoke", name="fourth", label="second")
    await room.act("olga", "import_task", external="elsewhere", title="mow")
    await room.act("olga", "import_task", external="elsewhere", title="mow the lawn", done=True, closed_at=1e9)
    await room.act("olga", "notify", name="olga")
    await room.act("olga", "sign_in")
    await room.act("olga", "notify", quiet="22:00-07:00", per_hour=3, suspects=True)
    await room.act("olga", "notify", add_channel="json://example.org/a")
    await room.act("olga", "notify", add_channel="json://example.org/b")
    await room.act("olga", "notify", remove_channel=1)
    await authorise(room)
    for name, new in (("tester", "examiner"), ("olga", "olga.s"), ("olga.s", "olga")):
        await room.act("olga", "enroll", name=name, rename=new)
    await room.later(1)
    for what in ("M-1", "T-6", "O-1", "D-1", "3"):
        await room.act("olga", "redact", what=what, reason="private")
    await room.later(40 * HOUR)
    await room.act("olga", "redact", older_than_seconds=3600, reason="old")


async def test_each_act_states_a_topic_of_everything_that_it_changed(tmp_path: Path) -> None:
    async with watched(tmp_path) as room:
        await play(room)
    assert room.missed == []
    assert room.acts == {name for name, tool in TOOLS.items() if isinstance(tool.does, Act)}


@pytest.mark.parametrize("forgotten", ["board", "task:4", "me:", "inbox:"])
async def test_an_act_that_forgets_a_topic_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    """The twin: the same room, whose acts are silent about one kind of topic."""

    def changed(self: Writing, *topics: str) -> None:
        self.effects.changed.update(topic for topic in topics if not topic.startswith(forgotten))

    monkeypatch.setattr(Writing, "changed", changed)
    async with watched(tmp_path) as room:
        await hand_over_first(room)
    assert room.missed


async def hand_over_first(room: Watched) -> None:
    for title in ("one", "two", "three"):
        await room.act("olga", "create_task", title=title)
    await hand_over(room)
