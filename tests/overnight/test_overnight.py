"""Overnight: the four questions about a night, answered on one screen, however much happened in it (QUI5)."""

import asyncio
import contextlib
import io
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from rich.cells import cell_len

from teamroom.clients.shell.overnight import show
from teamroom.server.record import chain as log
from teamroom.server.rules.chain import entry_hash
from teamroom.server.rules.overnight import LINES
from teamroom.server.store.engine import DiskFullError
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.rows.members import RosterRow
from teamroom.server.store.sqlite.connect import connect_reader, connect_writer, migrate
from teamroom.server.store.statements import SHARED, read_statements, sqlite_statements
from tests.support.listeners import listening
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, Time, running_room
from tests.support.shells import ESCAPE, Shell

pytestmark = promise("QUI5")

MINUTE, HOUR = 60.0, 3600.0

STEERING = "\x1b]0;owned\x07 \x1b[31mred \u202egnp.exe \r\x9b2J"

Night = dict[str, Any]


@pytest.fixture
def shell(room: RunningRoom) -> Shell:
    """The owner's shell beside a room in this process."""
    return Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})


async def read(member: Member, hours: float | None = None) -> Night:
    """The resource as a program reads it."""
    path = "overnight" if hours is None else f"overnight/{hours}"
    contents: Any = (await member.client.read_resource(f"teamroom://{path}")).contents
    assert len(contents[0].text.splitlines()) <= LINES
    return dict(json.loads(contents[1].text))


def shown(night: Night, section: str, kind: str) -> list[tuple[str, ...]]:
    """What a section shows of a kind: what it is about, and who."""
    whom = {"waits": ("person", "by"), "broke": ("by", "became")}[section]
    return [
        (line["subject"], *(line[name] for name in whom)) for line in night[section]["shown"] if line["kind"] == kind
    ]


async def finished(member: Member, task: str) -> None:
    """A task claimed and completed with evidence."""
    fence = (await member("claim_task", task=task))["fence"]
    evidence = [{"kind": "test", "ref": "pytest -q: 212 passed"}]
    await member("complete_task", task=task, fence=fence, summary=f"{task} is done", evidence=evidence)


# ------------------------------------------------------------------ a day of five agents


@dataclass(frozen=True)
class Played:
    """A room as a day left it: its folder, its members' tokens, and its time."""

    folder: Path
    tokens: dict[str, str]
    time: Time


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A day of five agents, a watchdog and a person, each of whom did or met something; played once."""
    return asyncio.run(_played(tmp_path_factory.mktemp("day") / "room"))


@pytest.fixture
async def day(played: Played, tmp_path: Path) -> AsyncIterator[RunningRoom]:
    """That day's room, opened a moment later."""
    shutil.copytree(played.folder, tmp_path / "room")
    async with running_room(tmp_path / "room", time=Time(played.time.offset)) as room:
        room.tokens |= played.tokens
        yield room


async def _played(folder: Path) -> Played:
    async with running_room(folder) as room:
        owner = await room.owner()
        agents = await room.enroll("builder", "tester", "scribe", "hollow", "crashed", mode="live")
        (rex,) = await room.enroll("rex", role="watchdog", mode="live")
        for member in (*agents, rex):
            await member("check_in")
        await rex("declare_capabilities", capabilities=["runtime:crashed"])
        await play(owner, *agents)
        for turn in range(32):
            if turn == 16:
                await agents[0]("update_task", task="T-2", fence=1, note="it loads now, 3 of 5 routes")
            if turn % 4 == 0:
                await agents[2]("post_message", text=f"the notes grow: {turn}", kind="note")
            for member in (*agents[:4], rex):
                await member("heartbeat")
            await room.later(2 * MINUTE)
        await rex("claim_task", task="T-9")
        await rex("complete_task", task="T-9", fence=1, summary="restarted", evidence=[])
        await agents[4]("heartbeat")
        await owner("pause", target="scribe", reason="wrong branch", for_seconds=4 * HOUR)
        await rex("pause", target="tester", reason="it loops")
        await owner("resume", target="tester", reason="it does not")
        await owner("enroll", name="guest")
        await owner("kill", target="guest", reason="not one of ours")
    return Played(folder, room.tokens, room.time)


async def play(owner: Member, builder: Member, tester: Member, scribe: Member, hollow: Member, crashed: Member) -> None:
    """Who did what on that day, before two of them fell silent."""
    reviewers = {"limiter": "tester", "load test": "tester", "notes": "olga"}
    for title in ("limiter", "load test", "notes", "keys", "docs", "deploy", "colours"):
        await owner("create_task", title=title, review=reviewers.get(title, "auto"))
    await owner("create_task", title="choose a name", assign="olga")
    await finished(builder, "T-1")
    await tester("review_task", task="T-1", verdict="accept", note="212 pass here")
    await finished(builder, "T-2")
    await tester("review_task", task="T-2", verdict="send_back", note="it does not load")
    await finished(scribe, "T-3")
    fence = (await builder("claim_task", task="T-4"))["fence"]
    offer = (await builder("hand_off", task="T-4", fence=fence, to="tester", note="please rotate them"))["offer"]
    await tester("answer_hand_off", offer=offer, accept=True)
    await tester("update_task", task="T-4", fence=fence + 1, status="blocked", blocked_on="@olga", note="the password")
    await crashed("claim_task", task="T-5")
    await hollow("claim_task", task="T-6")
    fence = (await scribe("claim_task", task="T-7"))["fence"]
    await scribe("hand_off", task="T-7", fence=fence, to="olga", note="which colours?")
    await builder("post_message", text="the limiter counts by address", kind="report", task="T-1")
    await scribe("post_message", text="which version is it?", to=["olga"], kind="ask")
    await builder("post_message", text="are you there?", to=["hollow"], kind="ask")
    await tester("post_message", text="the disk is nearly full", kind="alert", to=["olga"])
    for task in ("T-1", "T-5", "T-99"):
        await builder.refused("claim_task", task=task)


async def test_a_day_of_five_agents_answers_who_did_what(day: RunningRoom) -> None:
    night = await read(await day.owner())
    done = {line["member"]: line for line in night["done"]["shown"]}
    numbers = ("completed", "reviewed", "handed_over", "took_over", "reports")
    assert {name: tuple(line[number] for number in numbers) for name, line in done.items()} == {
        "builder": (2, 0, 1, 0, 1),
        "tester": (0, 2, 0, 1, 0),
        "scribe": (1, 0, 0, 0, 0),
        "rex": (1, 0, 0, 0, 0),
    }
    assert done["builder"]["newest"] == [{"task": "T-2", "title": "load test"}, {"task": "T-1", "title": "limiter"}]
    assert night["done"]["left_out"] == {}
    assert (night["entries"], sum(night["pace"]["entries"])) == (night["upto"] - night["after"],) * 2


async def test_a_day_of_five_agents_answers_who_has_what_now(day: RunningRoom) -> None:
    owner = await day.owner()
    night = await read(owner)
    has = {line["task"]: line for line in night["has"]["shown"]}
    assert {task: (line["state"], line["holder"], line["presence"]) for task, line in has.items()} == {
        "T-2": ("claimed", "builder", "live"),
        "T-3": ("in_review", "scribe", "paused"),
        "T-4": ("blocked", "tester", "live"),
        "T-5": ("claimed", "crashed", "live"),
        "T-6": ("claimed", "hollow", "zombie"),
        "T-7": ("claimed", "scribe", "paused"),
    }
    assert [task for task, line in has.items() if line["overdue"]] == ["T-5", "T-6"]
    assert list(has)[:2] == ["T-5", "T-6"], "what is overdue comes first"
    assert (has["T-2"]["last"]["by"], has["T-2"]["last"]["text"]) == ("builder", "it loads now, 3 of 5 routes")
    assert (has["T-3"]["last"]["kind"], has["T-3"]["last"]["evidence"]) == ("completed", "test pytest -q: 212 passed")
    assert has["T-6"]["last"]["kind"] == "claimed", "nothing was brought since"
    assert has["T-4"]["waits_for"] == "@olga"
    assert has["T-3"]["waits_for"] == "@olga"
    assert night["tasks"]["open"] == 1


async def test_a_day_of_five_agents_answers_what_broke_and_who_noticed(day: RunningRoom) -> None:
    night = await read(await day.owner())
    assert shown(night, "broke", "presence") == [("@hollow", "room", "")]
    assert shown(night, "broke", "recovered") == [("@crashed", "room", "repaired by @rex (T-9)")]
    assert {subject for subject, *_ in shown(night, "broke", "overdue")} == {"T-5", "T-6"}
    assert shown(night, "broke", "sent_back") == [("T-2", "tester", "now claimed, after @builder had completed it")]
    assert shown(night, "broke", "alert") == [("M-4", "tester", "")]
    (refused,) = [line for line in night["broke"]["shown"] if line["kind"] == "refused"]
    assert (refused["subject"], refused["times"]) == ("@builder", 3)
    assert refused["line"] == "@builder was refused: claim_task (3)"


async def test_a_day_of_five_agents_answers_who_is_stopped_by_whom_why_and_until_when(day: RunningRoom) -> None:
    night = await read(await day.owner())
    stopped = {line["target"]: line for line in night["stopped"]["shown"]}
    told = {name: (line["standing"], line["by"], line["reason"], line["ended_by"]) for name, line in stopped.items()}
    assert told == {
        "@scribe": ("paused", "olga", "wrong branch", None),
        "@guest": ("killed", "olga", "not one of ours", None),
        "@tester": ("active", "rex", "it loops", "olga"),
    }
    assert stopped["@scribe"]["until"] > night["until"]
    assert next(iter(stopped)) == "@scribe", "who is still paused comes first"


async def test_a_day_of_five_agents_answers_what_waits_for_a_person(day: RunningRoom) -> None:
    night = await read(await day.owner())
    assert shown(night, "waits", "ask") == [("M-2", "olga", "scribe")]
    assert ("T-3", "olga", "scribe") in shown(night, "waits", "review")
    assert shown(night, "waits", "blocked") == [("T-4", "olga", "tester")]
    assert shown(night, "waits", "assigned") == [("T-8", "olga", "olga")]
    assert {line["kind"] for line in night["waits"]["shown"]} <= {"ask", "review", "blocked", "assigned"}


async def test_the_report_of_that_day_is_in_words_for_models_and_people(day: RunningRoom) -> None:
    owner = await day.owner()
    _, words, _ = await owner.said("overnight", hours=24)
    for expected in (
        "- M-2 has waited 1 h for an answer from @olga, asked by @scribe: “which version is it?”",
        "- over: @crashed, noticed by @room N s ago, 2 times; repaired by @rex (T-9). @crashed is back",
        "- T-2, noticed by @tester 1 h ago; now claimed, after @builder had completed it. @tester sent back T-2: “it",
        "- @tester was resumed by @olga N s ago; stopped by @rex N s ago: “it loops”",
        "- T-4 blocked @tester (live) for @olga: “keys”",
        "- @builder completed 2, handed over 1, reports 1; newest T-2 “load test”, T-1 “limiter”",
    ):
        assert expected in re.sub(r"\d+ s ago", "N s ago", words)
    here = Shell(day.folder.parent, {"TEAMROOM_DATA": str(day.folder), "TEAMROOM_URL": day.url})
    piped = (await here.here("overnight")).out
    assert re.search(r"@tester +active +\d+ s +resumed by @olga \d+ s ago, stopped by @rex: “it loops”", piped)
    assert "\x1b" not in piped
    for expected in ("waits for a person 4", "“which version is it?”", "repaired by @rex (T-9)", "“wrong branch”"):
        assert expected in piped, piped
    assert (await here.here("overnight", "--json")).json["waits"] == (await read(owner))["waits"]
    screen = await asyncio.to_thread(here.on_terminal, "overnight", "--since", "24h")
    assert all(cell_len(ESCAPE.sub("", line)) <= 80 for line in screen.out.splitlines())


# ------------------------------------------------------------------ however much happened


def crowd(room: RunningRoom, thousands: int) -> None:
    """A loud night's entries, by the room and its agents, about what is really there; written without the door."""
    members = room.look_up(lambda tx: tx.all(RosterRow, "roster", capability="", after="", limit=100))
    agents, random = [row for row in members if row.kind == "agent"], Random(1)
    with closing(connect_writer(room.folder / DATABASE)) as database:
        database.execute("begin immediate")
        head = dict(database.execute("select seq, epoch, hash from head").fetchone())
        for number in range(1000 * thousands):
            if number % 1000 == 0:
                room.time.forward(HOUR / 10)
            database.execute(sqlite_statements()["append_entry"], entry(head, random, agents, number, room.time()))
        database.execute("update head set seq = :seq, hash = :hash", head)
        database.execute("commit")


def entry(head: dict[str, Any], random: Random, agents: list[RosterRow], number: int, at: float) -> dict[str, Any]:
    """The next entry of the chain, after which the head stands."""
    agent, task = random.choice(agents), f"T-{random.randrange(1, 61)}"
    act, subject, actor = random.choice(
        [
            ("post_message", f"M-{number}", agent.id),
            ("update_task", task, agent.id),
            ("complete_task", task, agent.id),
            ("review_task", task, agent.id),
            ("presence", f"@{agent.name}", 1),
            ("overdue", task, 1),
            ("escalate", task, 1),
        ]
    )
    owner = agent.owner if actor != 1 else 1
    salt, summary = f"{number:032x}", f"@{agent.name} {act}: entry {number}"
    digest = log.content_digest(salt, summary, "{}")
    header = (head["seq"] + 1, head["epoch"], at, actor, owner, act, subject, "ok")
    head |= {"seq": head["seq"] + 1, "hash": entry_hash(head["hash"], header, digest)}
    names = ("seq", "epoch", "at", "actor", "owner", "act", "subject", "outcome")
    content = {"summary": summary, "detail": "{}", "salt": salt, "digest": digest, "hash": head["hash"]}
    return {**dict(zip(names, header, strict=True)), **content}


async def loud(room: RunningRoom, thousands: int) -> None:
    """A night with more of everything than any screen has room for."""
    owner = await room.owner()
    agents = await room.enroll(*(f"agent-{number}" for number in range(12)), mode="live")
    for number in range(60):
        await owner("create_task", title=f"for olga {number}", assign="olga")
        await owner("post_message", text=f"alarm {number}", kind="alert", to=["agent-1"])
    for agent in agents:
        for number in range(8):
            await agent("post_message", text=f"question {number}?", to=["olga"], kind="ask")
        await agent.refused("claim_task", task="T-999")
        await owner("pause", target=agent.name, reason="loud")
    crowd(room, thousands)


async def test_a_night_with_100000_entries_fits_into_60_lines_and_counts_the_rest(
    room: RunningRoom, shell: Shell
) -> None:
    await loud(room, 100)
    owner = await room.owner()
    night = await read(owner, 24)
    assert night["entries"] > 100_000
    assert night["waits"]["counts"] == {"ask": 96, "assigned": 60}
    assert night["stopped"]["counts"] == {"paused": 12}
    assert night["broke"]["counts"] == {
        "overdue": 60, "alert": 60, "escalation": 60, "recovered": 12, "refused": 12
    }  # fmt: skip
    for name in ("waits", "broke", "stopped", "has", "done"):
        section = night[name]
        total = sum(section["counts"].values())
        assert len(section["shown"]) + sum(section["left_out"].values()) == total
        assert not total or section["shown"]
    done = sum(line["completed"] for line in night["done"]["shown"])
    with closing(connect_reader(room.folder / DATABASE)) as database:
        completed = database.execute("select summary from log where act = 'complete_task'").fetchall()
    shown_ = {f"@{line['member']}" for line in night["done"]["shown"]}
    assert done == sum((summary or "").split()[0] in shown_ for (summary,) in completed)
    _, words, _ = await owner.said("overnight", hours=24)
    assert len(words.splitlines()) <= LINES
    assert re.search(r"- and \d+ more \(.*\d+ ask, .*\d+ assigned\): read_board", words)
    assert f"read_receipts after {night['after']}" in words
    for columns in (80, 100, 200):
        screen = await asyncio.to_thread(lambda c=columns: shell.on_terminal("overnight", columns=c))  # type: ignore[misc]
        lines = ESCAPE.sub("", screen.out).splitlines()
        assert 50 < len(lines) <= LINES
        assert max(map(cell_len, lines)) <= columns
    piped = await shell.here("overnight")
    assert len(piped.out.splitlines()) <= LINES
    assert "more: teamroom receipts --after" in piped.out
    assert len(json.dumps((await shell.here("overnight", "--json")).json)) < 60_000


# ------------------------------------------------------------------ since when


async def test_a_first_look_covers_a_day_and_the_next_begins_where_it_ended(room: RunningRoom) -> None:
    owner = await room.owner()
    await owner("post_message", text="long ago")
    room.time.forward(30 * HOUR)
    await owner("post_message", text="this night")
    first = await read(owner)
    assert (first["since_last_look"], first["entries"]) == (False, 1)
    room.time.forward(29 * MINUTE)
    await owner("post_message", text="while looking")
    again = await read(owner)
    assert (again["since_last_look"], again["since"], again["entries"]) == (True, first["since"], 2)
    room.time.forward(29 * MINUTE)
    assert (await read(owner))["since"] == first["since"], "looks that follow each other closely are one"
    room.time.forward(31 * MINUTE)
    await owner("post_message", text="after the look")
    later = await read(owner)
    assert (later["after"], later["entries"]) == (again["upto"], 1)


async def test_each_reader_has_a_separate_last_look_and_the_shell_shares_that_of_its_member(
    room: RunningRoom, shell: Shell
) -> None:
    owner = await room.owner()
    (hanna,) = await room.enroll("hanna", kind="human")
    await owner("overnight")
    room.time.forward(HOUR)
    await owner("post_message", text="news")
    assert (await hanna("overnight"))["since_last_look"] is False
    through_shell = (await shell.here("overnight", "--json")).json
    assert (through_shell["since_last_look"], through_shell["entries"]) == (True, 1)


async def test_a_look_with_a_span_and_a_subscription_do_not_move_the_last_look(room: RunningRoom, shell: Shell) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("overnight", hours=1)
    await shell.here("overnight", "--since", "30m")
    async with listening(room, "olga", "teamroom://overnight") as told:
        await builder("post_message", text="something")
        assert await told.next() == "teamroom://overnight"
    assert (await owner("overnight"))["since_last_look"] is False
    assert (await owner("overnight"))["since_last_look"] is True


async def test_a_look_is_shown_even_if_nothing_can_be_written(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await room.owner()

    async def full(*_: Any) -> None:
        raise DiskFullError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(room.room.store, "write", full)
        assert (await owner("overnight"))["since_last_look"] is False
    assert (await owner("overnight"))["since_last_look"] is False, "that look could not be noted"
    assert (await owner("overnight"))["since_last_look"] is True


# ------------------------------------------------------------------ who may look


async def test_an_observer_may_look_a_paused_agent_may_not_and_a_pause_of_the_room_stops_no_person(
    room: RunningRoom,
) -> None:
    owner = await room.owner()
    (eye,) = await room.enroll("eye", role="observer")
    (hanna,) = await room.enroll("hanna", kind="human")
    (builder,) = await room.enroll("builder")
    assert (await read(eye))["entries"]
    assert (await read(builder))["entries"], "agents read it, though their list of tools does not grow"
    await owner("pause", target="room", reason="looking")
    assert (await hanna("overnight"))["stopped"]["shown"][0]["target"] == "room"
    for agent in (eye, builder):
        with pytest.raises(MCPError) as error:
            await read(agent)
        assert error.value.error.data["code"] == "paused"


# ------------------------------------------------------------------ each kind by itself


async def test_a_pause_at_each_level_is_shown_while_it_lasts_and_after_it_expired(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    for target in ("builder", "owner:olga", "room"):
        await owner("pause", target=target, reason=f"why {target}", for_seconds=HOUR)
    targets = {line["target"]: line["standing"] for line in (await read(owner))["stopped"]["shown"]}
    assert targets == {"@builder": "paused", "owner:olga": "paused", "room": "paused"}
    await room.later(2 * HOUR)
    after = {line["target"]: line for line in (await read(owner, 24))["stopped"]["shown"]}
    assert {name: (line["standing"], line["ended_by"]) for name, line in after.items()} == {
        "@builder": ("active", None), "owner:olga": ("active", None), "room": ("active", None)
    }  # fmt: skip
    assert after["room"]["ended_at"] == after["room"]["until"]
    assert (await read(owner, 1))["stopped"]["counts"] == {}, "what ended before the span is over"


async def test_a_pause_from_before_the_span_is_shown_while_it_lasts_and_when_it_ends(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("builder", "gone")
    await owner("pause", target="builder", reason="for long")
    await owner("kill", target="gone", reason="old")
    await room.later(5 * HOUR)
    night = await read(owner, 1)
    assert night["stopped"]["counts"] == {"paused": 1, "killed_before": 1}
    await owner("resume", target="builder", reason="go")
    (let_go,) = [line for line in (await read(owner, 1))["stopped"]["shown"] if line["standing"] == "active"]
    assert (let_go["target"], let_go["reason"], let_go["ended_by"]) == ("@builder", "for long", "olga")
    await owner("enroll", name="gone", revive=True)
    assert "killed_before" not in (await read(owner, 1))["stopped"]["counts"]


async def test_the_reviver_of_a_member_is_named_and_a_new_token_does_not_end_a_pause(
    room: RunningRoom, shell: Shell
) -> None:
    owner = await room.owner()
    await room.enroll("hollow", "builder")
    (hanna,) = await room.enroll("hanna", kind="human", role="owner")
    await owner("pause", target="builder", reason="for a while", for_seconds=HOUR)
    await owner("kill", target="hollow", reason="nobody is there")
    await hanna("enroll", name="hollow", revive=True)
    await hanna("enroll", name="hollow", rotate=True)
    await hanna("enroll", name="builder", rotate=True)
    await room.later(2 * HOUR)
    lines = {line["target"]: line for line in (await read(owner, 24))["stopped"]["shown"]}
    ended = {name: (line["ended_by"], line["revived"]) for name, line in lines.items()}
    assert ended == {"@hollow": ("hanna", True), "@builder": (None, False)}
    _, words, _ = await owner.said("overnight", hours=24)
    assert re.search("@hollow was revived by @hanna 2 h ago; stopped by @olga 2 h ago: “nobody is there”", words)
    assert "revived by @hanna 2 h ago, stopped by @olga" in (await shell.here("overnight", "--since", "24h")).out
    await room.later(48 * HOUR)
    await owner("kill", target="builder", reason="nobody is there")
    await room.later(24 * HOUR)
    await hanna("enroll", name="builder", revive=True)
    await hanna("enroll", name="hollow", rotate=True)
    (line,) = (await read(owner, 12))["stopped"]["shown"]
    assert (line["target"], line["ended_by"], line["revived"]) == ("@builder", "hanna", True), "killed before the span"


async def test_a_look_at_a_young_room_begins_when_the_room_was_created(room: RunningRoom) -> None:
    owner = await room.owner()
    first = await owner("overnight")
    await room.later(60)
    again = await owner("overnight")
    assert again["since_last_look"]
    assert again["since"] == first["since"], "and not a day before there was a room"


async def test_a_pause_that_was_restored_is_shown_and_lifted_like_any_other(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("builder")

    def take_over(tx: Any) -> None:
        """As `teamroom restore` does it: the standing of the journal, and an entry of the room."""
        stop = {"scope": "member", "target": 3, "state": "paused", "until": None}
        tx.run("set_standing", **stop, now=tx.now, by_member=1, by_role="owner", reason="as it was before")
        log.append(tx, log.ROOM_AUTHOR, act="restore", subject="@builder", summary="@builder is paused, as before")

    await room.room.door.act_as_room(take_over)
    night = await read(owner)
    assert [(line["target"], line["standing"], line["by"]) for line in night["stopped"]["shown"]] == [
        ("@builder", "paused", "room")
    ]
    assert shown(night, "broke", "restore") == [("@builder", "room", "")]
    await owner("resume", target="builder", reason="go")
    (let_go,) = (await read(owner))["stopped"]["shown"]
    assert (let_go["standing"], let_go["by"], let_go["ended_by"]) == ("active", "room", "olga")


async def test_a_killed_member_is_no_longer_listed_under_what_broke(room: RunningRoom) -> None:
    owner = await room.owner()
    hollow, lost, asker = await room.enroll("hollow", "lost", "asker", mode="live")
    for member in (hollow, lost, asker):
        await member("check_in")
    await asker("post_message", text="are you there?", to=["hollow"], kind="ask")
    for _ in range(30):
        await hollow("heartbeat")
        await asker("heartbeat", note=f"at {room.time()}")
        await room.later(MINUTE)
    assert {name for name, *_ in shown(await read(owner, 1), "broke", "presence")} == {"@hollow", "@lost"}
    entries = len(room.entries())
    for name in ("hollow", "lost"):
        await owner("kill", target=name, reason="nobody is there")
    acts = [entry["act"] for entry in room.entries()[entries:]]
    assert acts == ["kill", "release", "kill"], "the kill is the line, and one says that the asker was told"
    night = await read(owner, 1)
    assert shown(night, "broke", "presence") == []
    assert set(shown(night, "broke", "recovered")) == {
        ("@hollow", "room", "it was killed"),
        ("@lost", "room", "it was killed"),
    }
    assert all(line["over"] for line in night["broke"]["shown"])
    room.time.forward(30 * 24 * HOUR)
    assert (await read(owner, 1))["broke"]["counts"] == {}


async def test_an_escalation_waits_for_the_owner_until_the_task_moves(room: RunningRoom) -> None:
    owner = await room.owner()
    (idle,) = await room.enroll("idle", mode="live")
    await owner("create_task", title="paint")
    fence = (await idle("claim_task", task="T-1"))["fence"]
    for _ in range(200):
        await idle("heartbeat")
        await room.later(10 * MINUTE)
    night = await read(owner, 48)
    assert shown(night, "waits", "escalation") == [("T-1", "olga", "idle")]
    assert night["broke"]["counts"] == {"overdue": 1, "escalation": 1}
    await idle("update_task", task="T-1", fence=fence, note="half is painted")
    assert shown(await read(owner), "waits", "escalation") == []


async def test_an_answered_ask_an_answered_offer_and_started_work_are_not_shown_as_waiting(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner(
        "create_task", title="later", assign="olga", depends_on=[(await owner("create_task", title="x"))["task"]]
    )
    fence = (await builder("claim_task", task="T-1"))["fence"]
    await builder("hand_off", task="T-1", fence=fence, to="olga", note="yours")
    asked = (await builder("post_message", text="which?", to=["olga"], kind="ask"))["message"]
    night = await read(owner)
    assert (shown(night, "waits", "offer"), shown(night, "waits", "assigned")) == ([("O-1", "olga", "builder")], [])
    await owner("answer_hand_off", offer="O-1", accept=False, reason="no")
    await owner("post_message", text="this", reply_to=asked)
    await owner("update_task", task="T-1", status="cancelled")
    assert shown(await read(owner), "waits", "assigned") == [("T-2", "olga", "olga")]
    await owner("claim_task", task="T-2")
    assert (await read(owner))["waits"]["counts"] == {}


async def test_a_review_that_is_not_done_in_time_falls_to_the_owner(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester", mode="live")
    await owner("create_task", title="wall", review="tester")
    await tester("check_in")
    await finished(builder, "T-1")
    assert shown(await read(owner), "waits", "review") == []
    room.time.forward(HOUR + 1)
    assert shown(await read(owner), "waits", "review") == [("T-1", "olga", "builder")]
    assert (await owner("read_board"))["tasks"][0]["waiting_for"] == "@olga", "as the board has it"


async def test_a_notice_that_was_not_delivered_is_listed_under_what_broke(room: RunningRoom) -> None:
    owner = await room.owner()

    def fail(tx: Any) -> None:
        line = "@olga could not be reached on channel 1 of 1 after 3 tries"
        log.append(tx, log.ROOM_AUTHOR, act="notify", subject="@olga", outcome="failed", summary=line)

    await room.room.door.act_as_room(fail)
    (broken,) = (await read(owner))["broke"]["shown"]
    assert (broken["kind"], broken["subject"], broken["by"]) == ("undelivered", "@olga", "room")
    assert "could not be reached" in broken["line"]


async def test_a_duty_that_fails_is_listed_under_what_broke(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder", mode="live")
    await builder("check_in")
    await room.room.door.act_as_room(
        lambda tx: tx.run("postpone_failed", rule="presence", subject=3, member=3, at=tx.now + HOUR)
    )
    assert [line["line"] for line in (await read(owner))["broke"]["shown"]] == [
        "1 duty of the room failed and will be retried; the server's log says why"
    ]


async def test_redacted_content_is_not_shown_again(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="wall", review="olga")
    await finished(builder, "T-1")
    sent = await owner("review_task", task="T-1", verdict="send_back", note="hunter2 is the password")
    await owner("redact", what=str(sent["receipt"]), reason="a password")
    data, words, _ = await owner.said("overnight")
    assert "(redacted)" in words
    assert "hunter2" not in json.dumps(data["broke"])


async def test_a_quiet_night_is_reported_in_seven_lines(room: RunningRoom) -> None:
    owner = await room.owner()
    _, words, _ = await owner.said("overnight")
    assert words.splitlines()[2:] == [
        "Waits for a person: nothing.",
        "Broke, and who noticed: nothing.",
        "Stopped: nothing.",
        "Has what now: nothing.",
        "Done: nothing.",
    ]


# ------------------------------------------------------------------ what is shown, and what it costs


def hostile(value: Any, key: str = "") -> Any:
    """A reply in which every text of a member, and every name, steers a terminal."""
    if isinstance(value, dict):
        return {name: hostile(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [hostile(part, key) for part in value]
    texts = ("text", "line", "reason", "title", "became", "evidence", "member", "by", "person", "holder", "subject")
    return STEERING if isinstance(value, str) and key in texts else value


async def test_texts_of_members_cannot_control_the_terminal(day: RunningRoom) -> None:
    night = hostile(await read(await day.owner()))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        show(night)
    said = out.getvalue()
    assert "red" in said
    assert not set("\x1b\x07\x9b\u202e\r") & set(said)
    assert len(said.splitlines()) <= LINES


COUNTED = ("newest_of_act", "count_of_act", "recovered", "count_recovered", "resumed", "count_resumed",
           "done_by_member", "refusals_by_member", "newest_completions")  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
def test_the_counts_of_a_span_come_from_indexes(tmp_path: Path, name: str) -> None:
    connection = connect_writer(tmp_path / "room.db")
    migrate(connection, 0.0)
    statement = read_statements(SHARED)[name]
    parameters = dict.fromkeys(re.findall(r"(?<!:):([a-z_]+)", statement), 1)
    steps = [row["detail"] for row in connection.execute(f"explain query plan {statement}", parameters)]
    connection.close()
    of_log = [step for step in steps if re.match(r"(SCAN|SEARCH) log\b", step)]
    assert of_log
    assert [
        step for step in of_log if not re.match(r"SEARCH log USING (COVERING )?INDEX log_(act|refused) ", step)
    ] == []


# ------------------------------------------------------------------ what stays, and what is left out


async def test_what_nobody_answered_stays_in_every_look_until_somebody_answers_it(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    (_hanna,) = await room.enroll("hanna", kind="human")
    await owner("revoke", name="hanna")
    await builder("post_message", text="The disk is full", kind="alert", to=["olga"])
    await builder("post_message", text="who knows the region?", kind="ask")
    await builder("post_message", text="which region?", kind="ask", to=["hanna"])
    await tester("post_message", text="the disk is slow", kind="alert", to=["builder"])
    await room.later(2 * HOUR)
    first = await read(owner)
    await owner("overnight")
    await room.later(30 * HOUR)
    await owner("overnight")
    await room.later(2 * HOUR)
    for night in (first, await read(owner), await read(owner, 1)):
        assert shown(night, "broke", "alert") == [("M-4", "tester", ""), ("M-1", "builder", "")]
        assert shown(night, "waits", "ask") == [("M-2", None, "builder"), ("M-3", "hanna", "builder")]
        assert night["waits"]["counts"] == {"ask": 2}
    await builder("post_message", text="still full", reply_to="M-1")
    await builder("post_message", text="nobody?", reply_to="M-2")
    assert night["broke"]["counts"]["alert"] == 2, "an author does not answer itself"
    await owner("post_message", text="it is empty now", reply_to="M-1")
    await tester("post_message", text="the south", reply_to="M-2")
    await (await room.connect("hanna", (await owner("enroll", name="hanna"))["token"]))(
        "post_message", text="the north", reply_to="M-3"
    )
    night = await read(owner)
    assert shown(night, "broke", "alert") == [("M-4", "tester", "")]
    assert night["waits"]["counts"] == {}
    answered = next(line for line in (await read(owner, 100))["broke"]["shown"] if line["subject"] == "M-1")
    assert (answered["over"], answered["became"]) == (True, "@olga answered")


async def test_an_alert_begins_with_its_own_text_in_every_view(room: RunningRoom, shell: Shell) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await builder("post_message", text="“The disk” is full:\nnothing goes on", summary="The disk is full", kind="alert")
    (alert,) = [line for line in (await read(owner))["broke"]["shown"] if line["kind"] == "alert"]
    assert alert["line"] == "“The disk is full”"
    _, words, _ = await owner.said("overnight")
    assert re.search(r"- M-1: “The disk is full” raised by @builder \d+ s ago", words)
    for columns in (30, 40, 80, 120):
        lines = await shell.screen("overnight", columns=columns)
        at = next(at for at, line in enumerate(lines) if line.startswith("M-1"))
        assert "“The disk is full” raised"[: columns - 3] in "\n".join(lines[at : at + 2]), columns
    await owner("redact", what="M-1", reason="private")
    assert "disk" not in json.dumps(await read(owner))


@promise("QUI6")
async def test_what_people_mistype_is_left_out_and_what_they_may_not_do_and_agents_errors_are_counted(
    room: RunningRoom,
) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    (pia,) = await room.enroll("pia", kind="human")
    for member in (owner, pia, builder):
        for _ in range(3):
            await member.refused("claim_task", task="T-99")
        await member.refused("post_message", text="")
        await member.refused("who", name="nobdy")
    await pia.refused("kill", target="builder", reason="x")
    refused = {line["subject"]: line["times"] for line in (await read(owner))["broke"]["shown"]}
    assert refused == {"@builder": 5, "@pia": 1}
    assert {entry["outcome"] for entry in room.entries() if entry["act"] == "claim_task"} == {"refused"}


async def test_every_command_and_call_that_the_report_names_exists_and_its_reader_may_use_it(
    tmp_path: Path,
) -> None:
    async with running_room(tmp_path / "room") as room:
        owner = await room.owner()
        await room.enroll("builder")
        (pia,) = await room.enroll("pia", kind="human")
        tokens = {"olga": room.owner_token, "pia": room.tokens["pia"]}
        for number in range(50):
            await owner("create_task", title=f"task {number}", assign="pia")
        for number in range(40):
            await owner("enroll", name=f"guest-{number}")
            await owner("kill", target=f"guest-{number}", reason="x")
        for member in (owner, pia):
            token = tmp_path / f"{member.name}.token"
            token.write_text(tokens[member.name])
            token.chmod(0o600)
            shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
            told = (await shell.here("overnight", "--since", "24h", "--token-file", str(token))).out
            commands = set(re.findall(r"more: teamroom ([a-z]+(?: --after \d+)?)", told))
            assert len(commands) == 2, told
            for command in commands:
                done = await shell.here(*command.split(), "--token-file", str(token))
                assert done.code == 0, (command, done.err)
            _, words, _ = await member.said("overnight", hours=24)
            for call in set(re.findall(r"more \(.*\): (.*)", words)):
                tool, _, rest = call.partition(" ")
                if tool.startswith("teamroom://"):
                    assert (await member.client.read_resource(tool)).contents
                else:
                    assert await member(tool, **({"after": int(rest.split()[1])} if rest else {}))


@promise("ID1")
async def test_stops_suspicions_and_blocks_from_before_a_rename_are_reported_under_the_name_now(
    room: RunningRoom,
) -> None:
    owner = await room.owner()
    _builder, tester = await room.enroll("builder", "tester", mode="live")
    (_hanna,) = await room.enroll("hanna", kind="human")
    await owner("create_task", title="keys")
    fence = (await tester("claim_task", task="T-1"))["fence"]
    await tester("update_task", task="T-1", fence=fence, status="blocked", blocked_on="@hanna", note="the password")
    await owner("pause", target="builder", reason="it loops")
    await owner("pause", target="owner:hanna", reason="lunch")
    for name, new in (("builder", "mason"), ("hanna", "johanna")):
        await owner("enroll", name=name, rename=new)
    night = await read(owner)
    assert [line["target"] for line in night["stopped"]["shown"]] == ["owner:johanna", "@mason"]
    assert shown(night, "waits", "blocked") == [("T-1", "johanna", "tester")]
    await owner("resume", target="mason", reason="it does not")
    await owner("resume", target="owner:johanna", reason="back")
    ended = {line["target"]: (line["by"], line["reason"], line["ended_by"], line["times"]) for line in
             (await read(owner))["stopped"]["shown"]}  # fmt: skip
    assert ended == {"@mason": ("olga", "it loops", "olga", 2), "owner:johanna": ("olga", "lunch", "olga", 2)}
    await owner("kill", target="hanna", reason="left")
    assert "unblocked" in {entry["kind"] for entry in (await tester("read_board", task="T-1"))["task"]["history"]}
