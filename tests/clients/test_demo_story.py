"""The story of `teamroom demo`: what each scene shows is in the room's log, and the visitor may act at any time."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from teamroom.clients.local.demo.clock import STORY_SECONDS
from teamroom.clients.local.demo.life import live_on
from teamroom.clients.local.demo.players import OffScriptError, Player
from teamroom.clients.local.demo.stage import Facts, Stage, StoppedError
from teamroom.clients.local.demo.story import (
    CAST,
    DEPLOY,
    DRIFTER,
    LIMITER,
    PLAN_TEXT,
    REPOSITORY,
    SCENES,
    TASKS,
    TESTER,
    play,
)
from teamroom.server.settings import Settings
from tests.support.demo import Told, in_order, play_demo, set_stage
from tests.support.promises import house
from tests.support.rooms import RunningRoom, Time, running_room

pytestmark = house

LIFE_TURNS = 12
"""After so many turns of the slow life, each member had two."""


@dataclass
class Played:
    """A story that was played: what it showed and told, and the room's log after it."""

    shown: Mapping[str, Facts]
    told: Told
    log: list[dict[str, Any]]
    presence: Mapping[str, str]

    def summaries(self, act: str) -> list[str]:
        """What the log says of each such act that was carried out."""
        return [e["summary"] for e in self.log if e["act"] == act and e["outcome"] == "ok"]


async def played_in(room: RunningRoom, desk: Path, **options: Any) -> Played:
    told = Told()
    stage = set_stage(room, desk, told, **options)
    try:
        shown = await anyio.to_thread.run_sync(play, stage)
        roster = await anyio.to_thread.run_sync(lambda: stage.you("who"))
    finally:
        stage.close()
    return Played(shown, told, room.entries(), {m["name"]: m["presence"] for m in roster["members"]})


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The story without a visitor, in a room that begins an hour ago."""
    folder = tmp_path_factory.mktemp("demo")

    async def play_once() -> Played:
        async with running_room(folder / "room", time=Time(offset=-STORY_SECONDS)) as room:
            return await played_in(room, folder)

    return asyncio.run(play_once())


def test_the_story_shows_eight_things_in_order(played: Played) -> None:
    names = ["race", "hand-off", "flood", "heartbeats", "review", "decision", "pause", "overnight"]
    assert [scene.name for scene in SCENES] == ["opening", *names]
    assert list(played.shown) == played.told.scenes == ["opening", *names]
    assert [scene.minute for scene in SCENES] == sorted(scene.minute for scene in SCENES)


def test_a_race_has_one_winner_and_the_others_are_told_who_it_is(played: Played) -> None:
    shown = played.shown["race"]
    assert set(shown["refused"].values()) == {"taken"}
    assert set(shown["refused"]) | {shown["winner"]} == set(CAST) - {DRIFTER}
    claims = [words for words in played.summaries("claim_task") if "T-1" in words]
    assert [words.split()[0] for words in claims] == [f"@{shown['winner']}"]
    for loser in shown["refused"]:
        assert any(f"@{shown['winner']} holds T-1" in words for words in played.told.said_by(loser))


async def test_the_story_goes_on_whoever_wins_the_race(tmp_path: Path) -> None:
    def won_by_the_usual_reviewer(players: Sequence[Player], call: Any) -> dict[str, dict[str, Any]]:
        return in_order(sorted(players, key=lambda player: player.name != TESTER), call)

    async with running_room(tmp_path / "room", time=Time(offset=-STORY_SECONDS)) as room:
        shown = await play_demo(room, tmp_path, racing=won_by_the_usual_reviewer)
        judged = [entry["summary"] for entry in room.entries() if entry["act"] == "review_task"]
    assert shown["race"]["winner"] == TESTER
    assert any(words.startswith("@scout accepted T-1") for words in judged), judged


def test_a_hand_off_is_refused_with_what_is_missing_and_then_proven_by_hash(played: Played) -> None:
    shown = played.shown["hand-off"]
    assert shown["refused"] == {"code": "missing_capability", "missing": [REPOSITORY]}
    assert shown["unproven"] == "bad_proof"
    assert shown["proof"] == hashlib.sha256(PLAN_TEXT.encode()).hexdigest()
    assert shown["fences"] == [1, 2]
    assert "@tester accepted T-2 from @builder" in played.summaries("answer_hand_off")


def test_a_flood_is_one_line_of_the_stream_and_complete_in_the_log(played: Played) -> None:
    shown = played.shown["flood"]
    limit = Settings().notes_per_hour
    assert shown["lines"] == limit + 1
    assert shown["folded"] == shown["posted"] - limit
    assert f"{shown['folded']} more notes of @scribe" in shown["line"]
    posted = [words for words in played.summaries("post_message") if words.startswith("@scribe ")]
    assert len(posted) == shown["posted"]


def test_only_the_agent_that_only_sends_heartbeats_is_suspected_and_named(played: Played) -> None:
    found = [e for e in played.log if e["act"] == "presence"]
    assert {e["subject"] for e in found} == {f"@{DRIFTER}"}
    assert [e["summary"] for e in found] == played.shown["heartbeats"]["log"]
    assert found[-1]["summary"].startswith(f"@{DRIFTER} is zombie")
    settings = Settings()
    patience = settings.suspect_intervals + settings.challenge_misses * settings.challenge_intervals
    ask = next(e for e in played.log if e["act"] == "post_message")
    took = found[-1]["at"] - ask["at"]
    assert took >= patience * settings.live_interval_seconds, "no interval is shortened"
    assert played.presence[DRIFTER] == "zombie"
    assert {played.presence[name] for name in CAST if name != DRIFTER} == {"live"}


def test_a_review_sends_work_back_before_it_accepts_it(played: Played) -> None:
    assert played.shown["review"]["states"] == ["in_review", "claimed", "done"]
    verdicts = [words for words in played.summaries("review_task") if LIMITER in words]
    assert [words.partition(":")[0] for words in verdicts] == [
        f"@scout sent back {LIMITER}",
        f"@scout accepted {LIMITER}",
    ]


def test_a_decision_waits_for_the_visitor_and_blocks_its_task(played: Played) -> None:
    report = played.shown["overnight"]["overnight"]
    waits = [(one["kind"], one["subject"], one["person"]) for one in report["waits"]["shown"]]
    assert waits == [("decision", played.shown["decision"]["decision"], "olga")]
    (blocked,) = (one for one in report["has"]["shown"] if one["task"] == DEPLOY)
    assert (blocked["state"], blocked["waits_for"]) == ("blocked", "D-1")
    assert any(command.startswith("decide D-1 yes --digest ") for command in played.told.invitations)


def test_pause_refuses_the_next_act_and_resume_lets_it_through(played: Played) -> None:
    shown = played.shown["pause"]
    assert (shown["member"], shown["code"], shown["by"]) == ("scribe", "paused", "olga")
    said = played.told.said_by("scribe")
    assert any(words.startswith("refused (paused): You are paused by @olga") and "Fix: " in words for words in said)
    acts = [
        (e["act"], e["outcome"]) for e in played.log if e["act"] in ("pause", "resume") or "chapter" in e["summary"]
    ]
    assert acts == [("pause", "ok"), ("resume", "ok"), ("update_task", "ok")]


def test_overnight_answers_for_the_whole_hour(played: Played) -> None:
    report = played.shown["overnight"]["overnight"]
    broke = {one["subject"] for one in report["broke"]["shown"]}
    assert {f"@{DRIFTER}", LIMITER} <= broke
    assert {"tester", "scout", "builder"} <= {one["member"] for one in report["done"]["shown"]}
    assert report["tasks"]["open"] == 1, "one task is left for the visitor's agent"


async def test_tests_play_the_story_with_one_call(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", time=Time(offset=-STORY_SECONDS)) as room:
        shown = await play_demo(room, tmp_path)
        assert set(shown["opening"]["tasks"]) == set(TASKS)
        owner = await room.owner()
        assert {member["name"] for member in (await owner("who"))["members"]} == {"olga", *CAST}


async def test_a_story_that_meets_another_room_fails_in_words(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", notes_per_hour=1000) as room:
        with pytest.raises(OffScriptError, match="40 notes were not folded"):
            await play_demo(room, tmp_path)


# ------------------------------------------------------------------ the visitor acts


async def test_the_refusal_appears_next_to_the_member_that_the_visitor_pauses(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", time=Time(offset=-STORY_SECONDS)) as room:
        acts: list[str] = []
        stage: Stage | None = None

        def press_pause() -> None:
            assert stage is not None
            if not acts:
                acts.append("pause")
                stage.you("pause", target="scribe", reason="stop")

        told = Told()
        stage = set_stage(room, tmp_path, told, press_pause, visitor_seconds=8)
        shown = await anyio.to_thread.run_sync(play, stage)
        stage.close()
    assert shown["pause"]["code"] == "paused"
    assert told.said_by("scribe")[-1].startswith("refused (paused): You are paused by @olga")


async def test_a_visitor_who_does_not_press_pause_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", time=Time(offset=-STORY_SECONDS)) as room:
        played = await played_in(room, tmp_path, visitor_seconds=3)
    assert played.shown["pause"]["code"] is None
    assert played.told.scenes[-1] == "overnight"


async def test_a_visitor_who_pauses_early_sees_the_refusal_and_the_story_waits_for_the_resume(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", time=Time(offset=-STORY_SECONDS)) as room:
        stage: Stage | None = None
        told = Told()

        def resume() -> None:
            assert stage is not None
            stage.you("resume", target="tester", reason="go on")

        stage = set_stage(room, tmp_path, told, resume)
        stage.plan(8, lambda: stage.you("pause", target="tester", reason="early"))
        shown = await anyio.to_thread.run_sync(play, stage)
        stage.close()
    assert list(shown) == [scene.name for scene in SCENES]
    (refusal,) = (words for words in told.said_by("tester") if "paused" in words)
    assert refusal.startswith("refused (paused): ")
    assert refusal.endswith("The story waits until you resume @tester.")


# ------------------------------------------------------------------ the life after the story


async def lived(room: RunningRoom, desk: Path, acts: Mapping[int, Callable[[Stage], Any]]) -> Told:
    """Play the story and the life after it, in which the visitor acts before some turns; returns what that told."""
    told, turns = Told(), iter(range(max(acts) + LIFE_TURNS))
    stage: Stage | None = None

    def act() -> None:
        assert stage is not None
        turn = next(turns, None)
        if turn is None:
            raise StoppedError
        acts.get(turn, lambda _: None)(stage)

    stage = set_stage(room, desk, told, act)

    def run() -> None:
        assert stage is not None
        play(stage)
        told.lines.clear()
        with pytest.raises(StoppedError):
            live_on(stage)

    await anyio.to_thread.run_sync(run)
    stage.close()
    return told


async def test_after_the_story_a_pause_shows_within_one_round_and_so_does_the_resume(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", time=Time(offset=-STORY_SECONDS)) as room:
        told = await lived(
            room,
            tmp_path,
            {
                0: lambda stage: stage.you("pause", target="scout", reason="stop"),
                LIFE_TURNS: lambda stage: stage.you("resume", target="scout", reason="go"),
            },
        )
    first, second = told.said_by("scout")
    assert first.startswith("refused (paused): You are paused by @olga")
    assert second == "was resumed, and goes on"


@pytest.mark.parametrize(("answer", "state"), [("yes", "done"), ("no", "open")])
async def test_after_the_story_the_asker_does_what_the_visitor_decides(tmp_path: Path, answer: str, state: str) -> None:
    async with running_room(tmp_path / "room", time=Time(offset=-STORY_SECONDS)) as room:
        told = await lived(room, tmp_path, {0: lambda stage: stage.you("decide", decision="D-1", option=answer)})
        owner = await room.owner()
        task = (await owner("read_board", task=DEPLOY))["task"]
    assert told.lines == [("builder", f"D-1 is decided: {answer}")]
    assert task["state"] == state


async def test_after_the_story_a_killed_member_leaves_and_the_others_go_on(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", time=Time(offset=-STORY_SECONDS)) as room:
        told = await lived(
            room,
            tmp_path,
            {
                0: lambda stage: stage.you("kill", target="scout", reason="enough"),
                LIFE_TURNS: lambda stage: stage.you("post_message", text="@builder are you there?", kind="ask"),
            },
        )
        owner = await room.owner()
        newest = (await owner("read_messages", limit=1))["messages"][0]
    (refusal,) = told.said_by("scout")
    assert refusal.startswith("refused (killed): ")
    assert (newest["author"], newest["text"][:24]) == ("builder", "I am a scripted member o")


async def test_the_slow_life_tells_nothing_and_adds_little_by_itself(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", time=Time(offset=-STORY_SECONDS)) as room:
        lengths: list[int] = []
        count = lambda _: lengths.append(len(room.entries()))  # noqa: E731
        told = await lived(room, tmp_path, {0: count, 200: count})
    assert told.lines == []
    assert lengths[1] - lengths[0] <= 2
