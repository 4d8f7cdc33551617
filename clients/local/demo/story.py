"""The script of the demo: an hour of five agents and the person who answers for them, in scenes.

Every call goes to the room's endpoint with the token of the member that makes it. Nothing is faked: what a scene shows
is what the room answered, and a scene fails if the room answers something else. Tests play the same script.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

from teamroom.clients.local.demo.players import OffScriptError, Player
from teamroom.clients.local.demo.stage import Facts, Stage, refused, refused_with_fix
from teamroom.server.rules.letters import DIGEST_CHARACTERS

BUILDER, TESTER, SCOUT, SCRIBE, DRIFTER = CAST = ("builder", "tester", "scout", "scribe", "drifter")
"""The agents. @drifter is the one that only sends heartbeats."""

RACERS = (BUILDER, TESTER, SCOUT, SCRIBE)
"""Every agent but the one that only sends heartbeats."""

REPOSITORY = "repo:acme/api"
"""What the work on the API needs, and @scout cannot reach."""

FLAKY, LIMITER, NOTES, DEPLOY, BUGS, OPEN = TASKS = ("T-1", "T-2", "T-3", "T-4", "T-5", "T-6")
"""The tasks of the story, as the room numbers them. The last one is left for the visitor's own agent."""

PLAN = "plan.md"
PLAN_TEXT = "# Rate-limit the login route\n\nAt most five failed logins a minute for each address.\n"

NOTES_POSTED = 40
"""How many notes the flood has."""

FOUND_WITHIN = (17, 30)
"""The minutes of the story between which @drifter is found."""

LAST_MINUTE = 59
"""When `overnight` is shown. A minute later the clocks meet, and the lease of @drifter's task ends."""

WRONG = "wrong release"
"""Why @scribe is paused."""

MEANWHILE: tuple[tuple[float, str, str, dict[str, Any]], ...] = (
    (1, BUILDER, "post_message", {"text": "Which bugs are about lockouts?", "kind": "ask", "to": [DRIFTER]}),
    (10, SCOUT, "post_message", {"text": "Two of the login bugs are duplicates of one from March."}),
    (14, SCRIBE, "claim_task", {"task": NOTES}),
    (15, BUILDER, "post_message", {"text": "The load test for the limiter is ready: 200 logins a second."}),
    (24, SCRIBE, "update_task", {"task": NOTES, "fence": 1, "note": "the list of changes is complete"}),
    (25, BUILDER, "post_message", {"text": "Staging still runs the release of yesterday."}),
    (26, SCOUT, "post_message", {"text": "The proxy in staging adds the forwarded address."}),
    (42, TESTER, "post_message", {"text": "The branch of the limiter is merged."}),
    (43, SCRIBE, "update_task", {"task": NOTES, "fence": 1, "note": "the introduction is written"}),
)
"""What the agents do while the visitor looks at something else: the minute, who, and the call."""


@dataclass(frozen=True)
class Scene:
    """One thing that the story shows, from a minute of the story on."""

    name: str
    title: str
    minute: float
    play: Callable[[Stage], Facts]


def play(stage: Stage) -> dict[str, Facts]:
    """Play the whole story in a room that is still empty; returns what each scene showed, by its name.

    Raises OffScriptError if the room answers something else than the script expects, and StoppedError.
    """
    shown = dict[str, Facts]()
    for scene in SCENES:
        stage.until(scene.minute)
        stage.teller.begin(scene.name, scene.title, stage.time.now())
        shown[scene.name] = scene.play(stage)
        stage.teller.end(shown[scene.name])
    return shown


def open_the_day(stage: Stage) -> Facts:
    """Five agents join, and there is work on the board."""
    stage.enroll(*CAST)
    for player in stage.players.values():
        player.check_in("live")
    for name in (BUILDER, TESTER):
        stage.players[name]("declare_capabilities", capabilities=[REPOSITORY])
    add = stage.you
    add("create_task", title="Fix the flaky login test", priority=5)
    add("create_task", title="Rate-limit the login route", priority=4, needs=[REPOSITORY], review=SCOUT)
    add("create_task", title="Write the release notes for 2.4", priority=3, review=TESTER)
    add("create_task", title="Deploy the limiter to staging", priority=2, depends_on=[LIMITER], review=TESTER)
    add("create_task", title="Sort the bug reports about logins", assign=DRIFTER)
    add("create_task", title="Say hello to the team in one message", priority=1, review=stage.your_name)
    stage.players[DRIFTER]("claim_task", task=BUGS)
    for minute, name, tool, arguments in MEANWHILE:
        stage.plan(minute, partial(stage.players[name], tool, **arguments))
    stage.teller.line(stage.your_name, f"enrolled {', '.join(f'@{name}' for name in CAST)}, and added six tasks")
    return {"members": list(CAST), "tasks": list(TASKS)}


# ------------------------------------------------------------------ the scenes


def show_race(stage: Stage) -> Facts:
    """Every agent that works claims one task at the same moment, and one of them gets it."""
    racers = [stage.players[name] for name in RACERS]
    answers = stage.race(racers, lambda player: player("claim_task", task=FLAKY))
    winners = [name for name, answer in answers.items() if "fence" in answer]
    if len(winners) != 1:
        raise OffScriptError(f"{FLAKY} was claimed by {len(winners)} members")
    for name, answer in sorted(answers.items(), key=lambda one: one[0] not in winners):
        words = f"holds {FLAKY} with fence {answer['fence']}" if name in winners else refused(answer)
        stage.teller.line(name, words)
    _plan_end_of_race_task(stage, stage.players[winners[0]], answers[winners[0]]["fence"])
    losers = {name: answer["code"] for name, answer in answers.items() if name not in winners}
    return {"task": FLAKY, "winner": winners[0], "fence": answers[winners[0]]["fence"], "refused": losers}


def show_flood(stage: Stage) -> Facts:
    """One agent talks a lot, and readers see one line for what is beyond its share."""
    scribe = stage.players[SCRIBE]
    after = stage.you.read("teamroom://stream")["cursor"]
    for number in range(1, NOTES_POSTED + 1):
        scribe("post_message", text=f"Rendered page {number} of {NOTES_POSTED}.")
    entries = stage.you.read(f"teamroom://stream/{after}")["entries"]
    folded = next((entry for entry in entries if entry["folded"]), None)
    if folded is None:
        raise OffScriptError(f"{NOTES_POSTED} notes were not folded")
    stage.teller.line(SCRIBE, f"posts {NOTES_POSTED} notes; the stream shows {len(entries)} lines, the last of them:")
    stage.teller.line("", folded["line"])
    return {"posted": NOTES_POSTED, "lines": len(entries), "folded": folded["count"], "line": folded["line"]}


def show_hand_off(stage: Stage) -> Facts:
    """A task goes only to an agent that can do it, and that proves that it reaches what it needs."""
    builder, tester = stage.players[BUILDER], stage.players[TESTER]
    fence = builder("claim_task", task=LIMITER)["fence"]
    (stage.desk / PLAN).write_text(PLAN_TEXT, encoding="utf-8")
    artifact = {"kind": "file", "ref": PLAN, "sha256": _sha256_of(stage)}
    offer: dict[str, Any] = {"task": LIMITER, "fence": fence, "note": "The plan says how.", "artifacts": [artifact]}
    refusal = builder.refused("hand_off", to=SCOUT, **offer)
    stage.teller.line(BUILDER, f"offers {LIMITER} to @{SCOUT}: {refused(refusal)}")
    offered = builder("hand_off", to=TESTER, **offer)["offer"]
    stage.teller.line(BUILDER, f"offers {LIMITER} to @{TESTER}, who must reach {PLAN}")
    stage.until(9)
    (shown,) = (one for one in tester.check_in()["offers"] if one["offer"] == offered)
    command = shown["artifacts"][0]["command"]
    unproven = tester.refused("answer_hand_off", offer=offered, accept=True)
    stage.teller.line(TESTER, f"accepts without a proof: {refused(unproven)}")
    value = _sha256_of(stage)
    accepted = tester("answer_hand_off", offer=offered, accept=True, proofs=[{"ref": PLAN, "value": value}])
    words = f"proves it with `{command}`: {value[:12]}…, and holds {LIMITER} with fence {accepted['fence']}"
    stage.teller.line(TESTER, words)
    return {
        "refused": {"code": refusal["code"], "missing": refusal["missing"]},
        "unproven": unproven["code"],
        "offer": offered,
        "proof": value,
        "holder": TESTER,
        "fences": [fence, accepted["fence"]],
    }


def show_review(stage: Stage) -> Facts:
    """Completion is a claim. Another agent judges it, and sends the work back until it holds."""
    tester, scout = stage.players[TESTER], stage.players[SCOUT]
    claim = tester("complete_task", task=LIMITER, fence=2, summary="Logins are limited", evidence=evidence(12))
    stage.teller.line(TESTER, f"completes {LIMITER}: 12 tests pass. @{claim['reviewer']} reviews it.")
    stage.until(33)
    note = "Behind a proxy, all users share one address. Count by the forwarded one."
    scout.check_in()
    back = scout("review_task", task=LIMITER, verdict="send_back", note=note)
    stage.teller.line(SCOUT, f"sends it back: “{note}”")
    stage.until(36)
    tester.check_in()
    fence = tester("read_board", task=LIMITER)["task"]["fence"]
    tester("update_task", task=LIMITER, fence=fence, note="counts by the forwarded address")
    tester("complete_task", task=LIMITER, fence=fence, summary="Logins are limited by user", evidence=evidence(14))
    stage.until(39)
    scout.check_in()
    done = scout("review_task", task=LIMITER, verdict="accept", note="14 pass here too.")
    stage.teller.line(SCOUT, f"accepts the second claim: {LIMITER} is {done['state']}")
    return {"task": LIMITER, "reviewer": claim["reviewer"], "states": [claim["state"], back["state"], done["state"]]}


def show_heartbeats(stage: Stage) -> Facts:
    """An agent whose heartbeats go on but that does nothing is challenged, and then named."""
    findings = list[str]()
    for minute in range(*FOUND_WITHIN):
        stage.until(minute)
        receipts = stage.you("read_receipts", act="presence", subject=f"@{DRIFTER}", limit=20)["receipts"]
        for receipt in receipts[len(findings) :]:
            stage.teller.line("room", receipt["summary"])
            findings.append(receipt["summary"])
        found = stage.you("who", name=DRIFTER)["members"][0]
        if found["presence"] == "zombie":
            return {"member": DRIFTER, "presence": "zombie", "reason": found["reason"], "log": findings}
    raise OffScriptError(f"nobody found out that @{DRIFTER} only sends heartbeats")


def show_decision(stage: Stage) -> Facts:
    """What a person must decide waits for that person, and the task says so."""
    builder = stage.players[BUILDER]
    builder.check_in()
    fence = builder("claim_task", task=DEPLOY)["fence"]
    question = "Deploy the rate limiter to staging today?"
    asked = builder("request_decision", question=question, task=DEPLOY, detail="Two teams test there until 18:00.")
    decision = asked["decision"]
    builder("update_task", task=DEPLOY, fence=fence, status="blocked", blocked_on=decision, note="needs a yes")
    stage.teller.line(BUILDER, f"asks @{stage.your_name} to decide {decision}: “{question}”")
    words = f"{DEPLOY} waits for {decision}, and {decision} waits for you. To decide"
    stage.teller.invite(words, f"decide {decision} yes --digest {asked['digest'][:DIGEST_CHARACTERS]}")
    return {"decision": decision, "task": DEPLOY, "question": question}


def show_pause(stage: Stage) -> Facts:
    """Pause binds the next act of the stopped agent. The refusal says who stopped it and what to do."""
    scribe = stage.players[SCRIBE]
    scribe.check_in()
    stage.teller.invite(f"Press Pause for @{SCRIBE}", f"pause {SCRIBE} --reason '{WRONG}'")
    numbers = count(1)

    def work() -> dict[str, Any] | None:
        return scribe.attempt("update_task", task=NOTES, fence=1, note=f"chapter {next(numbers)} is written")

    if stage.visitor_seconds <= 0:
        return _pause_in_your_place(stage, work)
    for _ in range(round(stage.visitor_seconds)):
        stage.time.wait(1)
        if (refusal := work()) is not None:
            stage.paused.add(SCRIBE)
            stage.teller.line(SCRIBE, refused_with_fix(refusal))
            return {"member": SCRIBE, "code": refusal["code"], "by": stage.your_name, "task": NOTES}
    stage.teller.line(SCRIBE, "works on. Press Pause whenever you like: the refusal will appear here.")
    return {"member": SCRIBE, "code": None, "by": None, "task": NOTES}


def show_night(stage: Stage) -> Facts:
    """One screen says who did what, who has what, what broke and what waits for you."""
    report = stage.you.read("teamroom://overnight")
    stage.teller.night(report)
    return {"overnight": report}


SCENES = (
    Scene("opening", "Five agents join", 0, open_the_day),
    Scene("race", f"A race for {FLAKY} with one winner", 3, show_race),
    Scene("hand-off", "A hand-off: refused, then proven by hash", 6, show_hand_off),
    Scene("flood", "A flood, folded to one line", 12, show_flood),
    Scene("heartbeats", "An agent that only sends heartbeats, found and named", 16, show_heartbeats),
    Scene("review", "A review that sends work back", 30, show_review),
    Scene("decision", "A decision that waits for you", 44, show_decision),
    Scene("pause", "Press Pause", 50, show_pause),
    Scene("overnight", "The hour in one report", LAST_MINUTE, show_night),
)
"""The story, in order."""


# ------------------------------------------------------------------ parts of scenes


def evidence(tests: int) -> list[dict[str, str]]:
    """Evidence that so many tests pass."""
    return [{"kind": "test", "ref": f"pytest -q: {tests} passed"}]


def _sha256_of(stage: Stage) -> str:
    """The hash of the plan, as the member that reads it computes it."""
    return hashlib.sha256((stage.desk / PLAN).read_bytes()).hexdigest()


def _plan_end_of_race_task(stage: Stage, winner: Player, fence: int) -> None:
    """Plan that the winner of the race completes its task, and that another agent accepts it."""
    reviewer, summary = stage.players[SCOUT if winner.name == TESTER else TESTER], "The test read the real clock"
    stage.you("update_task", task=FLAKY, changes={"review": reviewer.name})
    end = partial(winner, "complete_task", task=FLAKY, fence=fence, summary=summary, evidence=evidence(212))
    stage.plan(20, end)
    stage.plan(22, reviewer.check_in)
    stage.plan(22, partial(reviewer, "review_task", task=FLAKY, verdict="accept", note="50 runs, no failure."))


def _pause_in_your_place(stage: Stage, work: Callable[[], dict[str, Any] | None]) -> Facts:
    """Pause the agent and resume it as the visitor would; its calls show what each does."""
    stage.you("pause", target=SCRIBE, reason=WRONG)
    refusal = work()
    if refusal is None:
        raise OffScriptError(f"@{SCRIBE} acted while it was paused")
    stage.teller.line(stage.your_name, f"pauses @{SCRIBE}: “{WRONG}”")
    stage.teller.line(SCRIBE, refused_with_fix(refusal))
    stage.you("resume", target=SCRIBE, reason="it is the right one now")
    if (refusal := work()) is not None:
        raise OffScriptError(f"@{SCRIBE} was refused after it was resumed: {refusal['why']}")
    stage.teller.line(stage.your_name, f"resumes @{SCRIBE}; its next call succeeds")
    return {"member": SCRIBE, "code": "paused", "by": stage.your_name, "task": NOTES}
