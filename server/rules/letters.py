"""The text of a letter to a person outside the room: plain and short, with the next step at its end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from teamroom.server.rules.notices import Kind
from teamroom.server.rules.text import inline, inline_log

LINES = 10
"""How many matters one letter names; of the others it says how many there are."""

KINDS: tuple[Kind, ...] = ("needs you", "stuck", "stopped", "review waiting")
"""In the order in which a title has them."""


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that a letter tells: its kind, the log entry it comes from, its line, and the command to act on it."""

    kind: Kind
    seq: int
    line: str
    command: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent to a channel."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Day:
    """What a daily digest counts, question by question."""

    members: int
    acts: int
    completed: int
    claimed: int
    blocked: int
    in_review: int
    open: int
    waiting: int
    stuck: int
    undelivered: int
    stops: int
    stopped: int


def letter(matters: Sequence[Matter], room: str, link: str) -> Letter:
    """A letter about one matter or several, the oldest first."""
    counts = Counter(matter.kind for matter in matters)
    what = ", ".join(kind if counts[kind] == 1 else f"{kind} ({counts[kind]})" for kind in KINDS if counts[kind])
    lines = [f"{matter.kind}: {matter.line}" for matter in matters[:LINES]]
    more = [f"… and {len(matters) - LINES} more"] if len(matters) > LINES else []
    return _letter(what, [*lines, *more], _command(matters), room, link)


def digest(day: Day, room: str, link: str) -> Letter:
    """The daily digest: the four questions in numbers."""
    lines = [
        f"who did this: {_count(day.members, 'member')}, {_count(day.acts, 'act')}, {day.completed} completed",
        f"who has it now: {day.claimed} claimed, {day.blocked} blocked, {day.in_review} in review, {day.open} open; "
        f"{day.waiting} waiting for you",
        f"who noticed it broke: {_count(day.stuck, 'report')} of stuck members, "
        f"{_count(day.undelivered, 'letter')} not delivered",
        f"who can stop it: stopped {_count(day.stops, 'time')}; {_count(day.stopped, 'member')} paused now",
    ]
    return _letter("daily digest", lines, "teamroom overnight", room, link)


def trial(sender: str, room: str, link: str) -> Letter:
    """A test letter, which needs no action."""
    return _letter("test", [f"@{sender} sent this test letter. No action is needed."], "teamroom board", room, link)


def line_of(reason: str, subject: str, sender: str | None, line: str, by_room: bool) -> str:
    """What a matter's line says: what the room says of it, and what members wrote as their quotation.

    `sender` None: it comes from the log itself, and nobody was woken.
    """
    if sender is not None and reason == "mention":
        return f"@{sender} asks in {subject}: {inline(line)}"
    if sender is not None and reason == "alert" and not by_room:
        return f"@{sender} raised an alert in {subject}: {inline(line)}"
    if reason == "offer":
        return f"@{sender} offers you {subject}: {inline(line)}"
    return line if reason == "alert" else inline_log(line)


def command_of(reason: str, subject: str, task: str | None, seq: int) -> str:
    """The command with which a person looks at a matter, or undoes it. `task`: what the subject is about, if any."""
    name = subject.removeprefix("@")
    if reason == "pause":
        return f"teamroom resume {name} --reason …"
    if reason == "kill":
        return f"teamroom enroll {name} --revive"
    if task is not None:
        return f"teamroom board {task}"
    return f"teamroom roster {name}" if subject.startswith("@") else _stream(seq)


def _command(matters: Sequence[Matter]) -> str:
    """What acts on all of them: their one command, else the stream from the oldest on."""
    commands = {matter.command for matter in matters}
    return commands.pop() if len(commands) == 1 else _stream(matters[0].seq)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _stream(seq: int) -> str:
    return f"teamroom stream --after {seq - 1}"


def _letter(what: str, lines: list[str], command: str, room: str, link: str) -> Letter:
    head = f"[Teamroom {room}]" if room else "[Teamroom]"
    return Letter(f"{head} {what}", "\n".join([*lines, command, *([link] if link else [])]))
