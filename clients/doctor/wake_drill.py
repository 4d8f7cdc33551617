"""A drill of a member's wake: asks the member something, marked as a test, and says which steps were seen, and when."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from teamroom.clients.local.findings import Finding
from teamroom.clients.session.blocking import BlockingRoom, connected
from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.progress import progress
from teamroom.clients.session.spans import seconds_between
from teamroom.server.rules.wakes import better_listener

TEXT = (
    "This is a test of your wake, by `teamroom doctor --wake`. Nothing else is asked of you: answer this message with "
    "one word."
)
SUMMARY = "A test of your wake: answer with one word"

DRILL_SECONDS, UNHEARD_SECONDS = 180, 20
"""How long the drill waits for an act of the member, and how long if no listener of it is there."""

LATE_SECONDS = 5
"""How long it waits after the act for a step that is told late."""

LOOK_SECONDS = 1.0

STEPS = ("notified", "woken", "acted")


def wake_drill(
    place: Place,
    name: str,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    bound: int | None = None,
) -> Iterator[Finding]:
    """Wake a member, wait for its act, and say which steps were seen. Raises Failure.

    `bound`: how many seconds to wait for an act of a member whose listener is there.
    """
    with connected(place) as room:
        (member,) = room.call("who", name=name)["members"]
        if member["kind"] != "agent":
            raise Failure(f"@{member['name']} is a person, whom no listener wakes.", "Name an agent.", USAGE)
        posted = room.call("post_message", text=TEXT, summary=SUMMARY, to=[name], kind="ask")
        message, seen = _watch(room, posted["message"], member["listening"], clock, sleep, bound or DRILL_SECONDS)
    yield from _steps(message, seen)
    if (missing := _missing(str(member["name"]), str(posted["message"]), seen)) is not None:
        yield missing


def _watch(
    room: BlockingRoom,
    id_: str,
    is_heard: bool,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
    bound: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Look at the message until all steps were seen or the time is up; returns it, and what was seen of its wake."""
    seconds, began = bound if is_heard else UNHEARD_SECONDS, clock()
    ends = began + seconds
    with progress(f"waiting for an answer to {id_}") as (report,):
        while True:
            (message,) = room.call("read_messages", ids=[id_])["messages"]
            (seen,) = message["wakes"]
            now = clock()
            if seen["acted"] is not None:
                ends = min(ends, now + LATE_SECONDS)
            if all(seen[step] is not None for step in STEPS) or now >= ends:
                return message, seen
            report(int(now - began), seconds)
            sleep(LOOK_SECONDS)


def _steps(message: dict[str, Any], seen: dict[str, Any]) -> Iterator[Finding]:
    if seen["held"] is not None:
        yield Finding("warning", "wake", f"{message['id']} was held by a stop since {seen['held']}.")
    for step in STEPS:
        if seen[step] is not None:
            after = max(seconds_between(message["at"], seen[step]), 0.0)
            yield Finding("ok", "wake", f"{step} {after:.1f} s after {message['id']}, at {seen[step]}.")


def _missing(name: str, id_: str, seen: dict[str, Any]) -> Finding | None:
    """The first step that was not seen, with what to do; None if all were."""
    start = f"Start one that says what it sees: {better_listener(name)}"
    if not seen["wakes"] or (seen["held"] is not None and seen["notified"] is None):
        return Finding("problem", "wake", f"@{name} was not woken.", f"See why: teamroom roster {name}")
    if seen["notified"] is None:
        level, found, fix = "problem", f"No listener of @{name} was given the wake.", start
    elif seen["woken"] is None:
        level = "problem" if seen["acted"] is None else "warning"
        found = f"The listener of @{name} did not say that it started a harness."
        fix = f"See what the listener printed. {start}"
    elif seen["acted"] is None:
        level, found = "problem", f"A harness of @{name} started, and did not act."
        fix = (
            "See what the listener printed: the harness may lack the permission to use the room's tools, reach no "
            f"model, or crash. If it is only slow, see later: teamroom read {id_}"
        )
    else:
        return None
    return Finding(level, "wake", found, fix)  # type: ignore[arg-type]
