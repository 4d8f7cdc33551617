"""The text of a letter to a person outside the room: plain and short, with the next step after each notice."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from teamroom.server.rules.notices import Kind
from teamroom.server.rules.text import inline, quote_line

LINES = 10
"""How many notices one letter lists; it only counts the rest."""

DIGEST_CHARACTERS = 8
"""How many characters of a digest a command gives."""

SUSPECT = "suspect"
"""The reason of a notice to a person that wants to be told about suspects. It comes with no wake."""

SETTLED_BY = {
    "assigned": "teamroom claim {}",
    "offer": "teamroom handoff {} ANSWER",
    "review": "teamroom review {} VERDICT …",
}
"""The command that settles what waits for a person, by the reason of its wake; the subject goes into it."""

KINDS: tuple[Kind, ...] = ("needs you", "stuck", "stopped", "review waiting")
"""The kinds of notice, in the order in which a title lists them."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a reader does next: a command of the shell, and the path of the same thing on the room's page."""

    command: str
    path: str


@dataclass(frozen=True, slots=True)
class LetterPlace:
    """What letters call the room, and where they lead.

    `page`: the address of the room's page, "" if it has none for people. `link`: a further address, "" for none.
    """

    room: str = ""
    page: str = ""
    link: str = ""

    def words_of(self, step: Step) -> str:
        """How a letter gives the next step: the address of the page, or the command where there is none."""
        return f"{self.page}{step.path}" if self.page else step.command


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice in a letter: its kind, the log entry it comes from, its line, and the next step."""

    kind: Kind
    seq: int
    line: str
    step: Step


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter as it is sent to a channel."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Day:
    """The numbers in a daily digest, in the order of its four questions."""

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


def letter(notices: Sequence[Notice], place: LetterPlace) -> Letter:
    """A letter with one or more notices, oldest first. Each is followed by its step; a step of all is at the end."""
    counts = Counter(notice.kind for notice in notices)
    what = ", ".join(kind if counts[kind] == 1 else f"{kind} ({counts[kind]})" for kind in KINDS if counts[kind])
    is_shared = len({notice.step for notice in notices}) == 1
    lines = []
    for notice in notices[:LINES]:
        lines.append(f"{notice.kind}: {defuse(notice.line)}")
        lines += [] if is_shared else [f"  {place.words_of(notice.step)}"]
    if more := notices[LINES:]:
        lines.append(f"… and {len(more)} more")
    if is_shared:
        return _letter(what, lines, notices[0].step, place)
    return _letter(what, lines, Step(_stream(more[0].seq), "/") if more else None, place)


def digest(day: Day, place: LetterPlace) -> Letter:
    """The daily digest: the four questions in numbers."""
    lines = [
        f"who did this: {_count(day.members, 'member')}, {_count(day.acts, 'act')}, {day.completed} completed",
        f"who has it now: {day.claimed} claimed, {day.blocked} blocked, {day.in_review} in review, {day.open} open; "
        f"{day.waiting} waiting for you",
        f"who noticed it broke: {_count(day.stuck, 'report')} of stuck members, "
        f"{_count(day.undelivered, 'letter')} not delivered",
        f"who can stop it: stopped {_count(day.stops, 'time')}; {_count(day.stopped, 'member')} paused now",
    ]
    return _letter("daily digest", lines, Step("teamroom overnight", "/overnight"), place)


def trial(sender: str, place: LetterPlace) -> Letter:
    """A test letter, which needs no action."""
    line = defuse(f"@{sender} sent this test letter. No action is needed.")
    return _letter("test", [line], Step("teamroom letters", "/settings"), place)


LOOK_ALIKES = dict(
    zip("*_~`|\\<>[].", "\u2217\u02cd\u223c\u02cb\u00a6\u2216\u2039\u203a\uff3b\uff3d\u2024", strict=True)
)
"""Characters that begin a link, formatting or a mention in some channel, and what a letter shows in their place."""

BREAK = "\u200b"
"""An invisible character. It separates a sign from the word that it would make a mention, an emoji or an address of."""

_MARK = re.compile(r"[*`~|\\<>\[\]]|(?<![^\W_])_|_(?![^\W_])|(?<=\S)\.(?=\S)")
_SIGN = re.compile(r"[@#&:{$](?=\S)|(?<!\w)/(?=\S)")


def defuse(line: str) -> str:
    """A line in which no channel finds a link, a mention, a heading or formatting. It reads the same.

    Services render Markdown, link what looks like an address, and notify whom an @ names, whatever the format of a
    letter is. So its lines contain none of the characters that they look for: an escape would differ for each service.
    """
    return _SIGN.sub(lambda sign: sign[0] + BREAK, _MARK.sub(lambda mark: LOOK_ALIKES[mark[0]], line))


def line_of(reason: str, subject: str, sender: str | None, line: str, by_room: bool) -> str:
    """The line of a notice: the room's own words, with members' texts in quotation marks.

    `sender` None: the notice comes from the log itself, and no member was woken.
    """
    if sender is not None and reason == "mention":
        return f"@{sender} asks in {subject}: {inline(line)}"
    if sender is not None and reason == "alert" and not by_room:
        return f"@{sender} raised an alert in {subject}: {inline(line)}"
    if reason == "offer":
        return f"@{sender} offers you {subject}: {inline(line)}"
    return line if reason in ("alert", SUSPECT) else quote_line(line)


def command_to_decide(decision: str, digest: str) -> str:
    """The command that answers a decision. Its digest binds the answer to what the decision says."""
    return f"teamroom decide {decision} OPTION --digest {digest[:DIGEST_CHARACTERS]}"


def step_of(reason: str, subject: str, task: str | None, seq: int, digest: str = "", is_stuck: bool = False) -> Step:
    """What settles a notice: the command that answers it or undoes the act, else the one that shows its subject.

    `is_stuck`: it says that others do not act, so its reader only looks. `task`: the task that the subject is about, if
    any. `digest`: that of the decision that it asks for, if any.
    """
    return Step(_command_of("" if is_stuck else reason, subject, task, seq, digest), _path_of(subject, task))


def _command_of(reason: str, subject: str, task: str | None, seq: int, digest: str) -> str:
    name = subject.removeprefix("@")
    if reason in ("pause", "kill"):
        return f"teamroom resume {name} --reason …" if reason == "pause" else f"teamroom enroll {name} --revive"
    if digest:
        return command_to_decide(subject, digest)
    if subject.startswith("M-"):
        return f"teamroom reply {subject} …" if reason else f"teamroom read {subject}"
    if reason in SETTLED_BY:
        return SETTLED_BY[reason].format(subject)
    if task is not None:
        return f"teamroom board {task}"
    return f"teamroom roster {name}" if subject.startswith("@") else _stream(seq)


def _path_of(subject: str, task: str | None) -> str:
    """The path of a subject on the page: its own, that of its task, or the first page."""
    if subject.startswith(("M-", "D-")):
        return f"/{'messages' if subject[0] == 'M' else 'decisions'}/{subject}"
    if task is not None:
        return f"/tasks/{task}"
    if not subject.startswith(("@", "owner:")):
        return "/"
    return f"/members/{quote(re.sub('^(@|owner:)', '', subject), safe='')}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _stream(seq: int) -> str:
    return f"teamroom stream --after {seq - 1}"


def _letter(what: str, lines: list[str], step: Step | None, place: LetterPlace) -> Letter:
    head = f"[Teamroom {place.room}]" if place.room else "[Teamroom]"
    last = [*([place.words_of(step)] if step else []), *([place.link] if place.link else [])]
    return Letter(f"{head} {what}", "\n".join([*lines, *last]))
