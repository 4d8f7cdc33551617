"""A harness through a run in which its member is stopped, and what its model was told at each moment."""

import time
from collections.abc import Callable, Sequence

from tests.harness.harnesses import RUN_SECONDS, Agent
from tests.harness.room import RoomOfProcesses, ServedRoom
from tests.harness.script import Say, Seen, Step, Thought, Turn, use
from tests.harness.told import KILL_REASON, MENTION, PAUSE_REASON, SITUATIONS, shown_as
from tests.support.watching import until

TEXT = "I work on"
TRIES, TRY_SECONDS = 8, 1.0
"""How often a model tries again, and after how long, what its harness did not bring to the room."""


def walk(served: ServedRoom, agent: Agent) -> list[str]:
    """Take a harness through a run; returns what its model was told before its first call, and by each."""
    room = served.room
    before = {name: Thought() for name in ("paused", "restarted", "resumed", "killed")}
    posts = {name: thought.before(use("post_message", text=TEXT)) for name, thought in before.items()}
    calls = {"joined": use("check_in"), "mentioned": use("wait_for_wake"), **posts}
    happens: dict[str, Callable[[], object]] = {
        "paused": lambda: room.owner("pause", target=agent.name, reason=PAUSE_REASON),
        "restarted": served.restart,
        "resumed": lambda: room.owner("resume", target=agent.name),
        "killed": lambda: room.owner("kill", target=agent.name, reason=KILL_REASON),
    }
    with agent.at_work(*Script(calls).steps) as run:
        until(lambda: listens(room, agent.name), "it waits for a wake", RUN_SECONDS)
        room.owner("post_message", text=MENTION)
        for name, thought in before.items():
            thought.wait()
            happens[name]()
            thought.end()
        seen = run.finish()
        words = SITUATIONS["started"].words
        return [words if words in run.model.opening else "", *answers(seen, list(calls))]


def listens(room: RoomOfProcesses, name: str) -> bool:
    """Whether a member waits for a wake."""
    (member,) = room.owner("who", name=name)["members"]
    return bool(member["listening"])


def start_again(agent: Agent) -> list[str]:
    """Start the harness of a killed member, whose model calls check_in."""
    script = Script({"started again": use("check_in")})
    with agent.at_work(*script.steps) as run:
        return answers(run.finish(), ["started again"]) or [""]


class Script:
    """A model that calls the room in each situation, and tries again what its harness did not bring there."""

    def __init__(self, calls: dict[str, Step]) -> None:
        self._calls = calls

    @property
    def steps(self) -> list[Step]:
        """As many as there can be tries."""
        return [self._next] * (len(self._calls) * (1 + TRIES))

    def _next(self, seen: Seen) -> Turn:
        heard = answers(seen, list(self._calls))
        if len(heard) == len(self._calls):
            return Say("That is all.")
        if seen and seen[-1] not in heard[-1:]:
            time.sleep(TRY_SECONDS)
        return list(self._calls.values())[len(heard)](seen)


def answers(seen: Seen, names: Sequence[str]) -> list[str]:
    """What the room answered to the call in each situation; what the harness said instead only after the last try."""
    heard: list[str] = []
    tries = 0
    for text in seen:
        tries += 1
        if shown_as(names[len(heard)], text) or tries > TRIES:
            heard.append(text)
            tries = 0
    return heard
