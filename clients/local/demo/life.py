"""The slow life of a demo after its story: heartbeats, a little progress, and answers to what the visitor does."""

from typing import Any

from teamroom.clients.local.demo.players import Player, refusal_in
from teamroom.clients.local.demo.stage import Stage, refused, refused_with_fix
from teamroom.clients.local.demo.story import (
    BUILDER,
    CAST,
    DEPLOY,
    DRIFTER,
    NOTES,
    SCRIBE,
    evidence,
)
from teamroom.clients.session.failure import Failure

TURN_SECONDS = 1.0
"""How often one of the members beats, so that a pause shows within a few seconds."""

WORK_TURNS = 24
"""How many turns of @scribe's pass between two reports of its progress: about two minutes."""

TURNS = 30 * 86_400
"""After how many turns a demo ends: a month."""

REPLIES = 20
"""How many messages of the visitor and of the visitor's agents are answered."""

LOOKS = 2
"""How often a member looks for news in one turn: the second look acknowledges what it saw in the first."""

REPLY = "I am a scripted member of this demo, so I cannot do more than answer."


PASSING = frozenset({"busy", "storage", "rate_limited", "paused"})
"""Refusals after which a member takes its next turn as usual."""


def live_on(stage: Stage) -> None:
    """Let the members go on after the story, in real time. Prints only what the visitor causes. Raises StoppedError."""
    life = _Life(stage)
    for _ in range(TURNS):
        stage.time.wait(TURN_SECONDS)
        if stage.players:
            life.take_turn()


class _Life:
    """What the members remember between their turns."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._replies = self._scribes_turns = 0
        for player in stage.players.values():
            player.patience = None

    def take_turn(self) -> None:
        """Let the next member beat, and do what waits for it. One that may no longer act leaves."""
        player = self._stage.next_player()
        try:
            self._act(player)
        except Failure as failure:
            refusal = refusal_in(failure)
            if refusal["code"] not in PASSING:
                del self._stage.players[player.name]
                self._stage.teller.line(player.name, refused(refusal))

    def _act(self, player: Player) -> None:
        beat = player("heartbeat")
        if beat["standing"] == "paused":
            self._meet_pause(player)
            return
        if player.name in self._stage.paused:
            self._stage.paused.remove(player.name)
            self._stage.teller.line(player.name, "was resumed, and goes on")
        if beat["pending"]["wakes"] and player.name != DRIFTER:
            self._read_news(player)
        if player.name == SCRIBE:
            self._work(player)

    def _work(self, scribe: Player) -> None:
        """Report some progress now and then, as long as @scribe holds its task."""
        self._scribes_turns += 1
        chapter, rest = divmod(self._scribes_turns, WORK_TURNS)
        if rest == 0 and (task := _held_by(scribe, NOTES)) is not None:
            scribe("update_task", task=NOTES, fence=task["fence"], note=f"read chapter {chapter} again")

    def _meet_pause(self, player: Player) -> None:
        """Let a member that was just paused try to act: the refusal appears next to its name."""
        if player.name in self._stage.paused:
            return
        if (refusal := player.attempt("check_in")) is not None:
            self._stage.paused.add(player.name)
            self._stage.teller.line(player.name, refused_with_fix(refusal))

    def _read_news(self, player: Player) -> None:
        for _ in range(LOOKS):
            found = player.check_in()
            for wake in found["wakes"]:
                self._meet_wake(player, wake, found)
            for review in found["reviews"]:
                self._review(player, review)
            if not found["wakes"]:
                return

    def _meet_wake(self, player: Player, wake: dict[str, Any], found: dict[str, Any]) -> None:
        if wake["reason"] == "decision" and player.name == BUILDER:
            self._follow_decision(player, wake["subject"], found["decisions"])
        elif wake["reason"] == "mention" and wake["from"] not in CAST and self._replies < REPLIES:
            self._replies += 1
            player("post_message", text=REPLY, reply_to=wake["subject"])
        elif wake["reason"] == "offer":
            player.attempt("answer_hand_off", offer=wake["subject"], accept=False, reason=REPLY)

    def _follow_decision(self, builder: Player, name: str, decisions: list[dict[str, Any]]) -> None:
        """Do what the visitor decided."""
        answer = next((one["answer"] for one in decisions if one["decision"] == name), None)
        task = _held_by(builder, DEPLOY)
        if answer is None or task is None:
            return
        self._stage.teller.line(BUILDER, f"{name} is decided: {answer}")
        if answer == "yes":
            summary = "The limiter runs in staging"
            builder("complete_task", task=DEPLOY, fence=task["fence"], summary=summary, evidence=evidence(14))
        else:
            builder("update_task", task=DEPLOY, fence=task["fence"], status="released", note=f"{name}: {answer}")

    def _review(self, player: Player, review: dict[str, Any]) -> None:
        """Judge the work of another scripted member. The script cannot judge anybody else's."""
        if player("read_board", task=review["task"])["task"]["completed_by"] in CAST:
            player("review_task", task=review["task"], verdict="accept", note="It runs.")


def _held_by(player: Player, name: str) -> dict[str, Any] | None:
    """A task, if a member holds it."""
    task: dict[str, Any] = player("read_board", task=name)["task"]
    return task if task["holder"] == player.name else None
