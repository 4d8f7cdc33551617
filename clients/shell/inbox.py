"""The inbox: what waits for a person, numbered, each with the command that settles it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.blocking import connected
from teamroom.clients.session.place import Place
from teamroom.clients.session.program import printed
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.spans import until
from teamroom.clients.session.terminal import (
    Styled,
    is_terminal,
    plain,
    print_hanging,
    print_json,
    print_line,
    quoted,
)
from teamroom.clients.session.times import day_and_time, with_local_times
from teamroom.clients.shell.acting import RequestId, act
from teamroom.clients.shell.app import Json, command
from teamroom.clients.shell.colours import PRESENCE, STATES
from teamroom.clients.shell.decisions import commands_of
from teamroom.server.rules.text import quote_wake, state_in_words

if TYPE_CHECKING:
    from teamroom.server.acts.presence.me import AskDue, Inbox, Me, Suspect
    from teamroom.server.acts.presence.presence import TaskHeld, Wake
    from teamroom.server.acts.reminders.reminders import Reminder
    from teamroom.server.acts.tasks.hand_offs import OfferShown
    from teamroom.server.facts.decision import DecisionShown
    from teamroom.server.facts.reviewer import ReviewDue

SECTION = "Messages"


LISTED_APART = frozenset({"offer", "review", "challenge"})
"""Reasons of wakes for what has a section of its own as long as it waits."""


@dataclass(frozen=True)
class Item:
    """Something that waits: its subject, the room's words about it, and the commands that settle it."""

    subject: str
    words: Styled
    commands: tuple[str, ...]
    style: str = ""


@command(SECTION)
def inbox(
    context: typer.Context,
    place: Place,
    seen: Annotated[
        int | None,
        typer.Option("--seen", metavar="N", min=0, help="Mark news up to this number as seen instead."),
    ] = None,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Show what waits for you, and the command that settles each.

    Decisions come first, then asks, reviews, offers, agents of yours that need you, reminders, and the news that you
    have not marked as seen.
    """
    if seen is not None:
        reply = act(place, context, "check_in", request_id, after=seen)
        print_json(reply) if json else print(f"News up to {seen} is marked as seen.")
        return
    with connected(place) as room:
        reply = room.read("teamroom://inbox")
        me = room.read("teamroom://me")
    if json:
        print_json({**reply, "tasks": me["tasks"]})
        return
    _show(shaped(reply), shaped(me), place)


def _show(found: "Inbox", me: "Me", place: Place) -> None:
    """Print everything that waits, numbered through all sections."""
    decisions = [one for one in found.decisions if one.state == "open" and me.name in one.to]
    answered = (
        {one.decision for one in decisions}
        | {ask.message for ask in found.asks}
        | {review.task for review in found.reviews}
    )
    answered |= {offer.offer for offer in found.offers}
    answered |= {*found.answered}
    news = [wake for wake in found.wakes if wake.subject not in answered and wake.reason not in LISTED_APART]
    owed = [reminder for reminder in found.reminders if reminder.subject not in answered]
    sections = {
        "to decide": [_decision(one) for one in decisions],
        "asked of you": [_ask(ask) for ask in found.asks],
        "to review": [_review(review) for review in found.reviews],
        "offered to you": [_offer(offer) for offer in found.offers],
        "agents that need you": [_suspect(one) for one in found.suspects],
        "owed": [_owed(reminder) for reminder in owed],
        "news": [_news(wake) for wake in news],
        "you hold": [_held(task) for task in me.tasks],
    }
    numbers = iter(range(1, 1 + sum(map(len, sections.values()))))
    for title, items in sections.items():
        if items:
            print_line(Styled(f"{title} {len(items)}", style="bold"))
            for item in items:
                _print(next(numbers), item, place)
    if not any(sections.values()):
        print("Nothing waits for you.")
    if found.wakes:
        print_line(
            Styled(f"To mark the news as seen: {_command(f'inbox --seen {found.cursor}', place)}", style="dim"),
            is_whole=True,
        )


def _print(number: int, item: Item, place: Place) -> None:
    print_hanging(Styled(f"{number:>3}  ", (plain(item.subject), f"bold {item.style}".strip())), item.words)
    for words in item.commands:
        print_line(Styled("     ", (_command(words, place), "dim")), is_whole=True)


def _command(words: str, place: Place) -> str:
    return printed(words, place.named_options)


# ------------------------------------------------------------------ each kind of thing


def _decision(one: "DecisionShown") -> Item:
    about = f" on {plain(one.task)}" if one.task else ""
    words = f"@{plain(one.by)} asks you to decide{about} until {_time(one.until)}: {quoted(one.question)}"
    options = " / ".join(map(quoted, one.options))
    return Item(one.decision, Styled(f"{words} ({options})"), tuple(commands_of(one)), "magenta")


def _ask(ask: "AskDue") -> Item:
    about = f" on {plain(ask.task)}" if ask.task else ""
    words = f"@{_sender(ask)} asks{about}, {_time(ask.at)}: {quoted(ask.summary)}"
    return Item(ask.message, Styled(words), (f"reply {plain(ask.message)} 'YOUR ANSWER'",), "magenta")


def _review(review: "ReviewDue") -> Item:
    why = f" ({plain(with_local_times(review.why))})" if review.why else ""
    words = f"@{plain(review.by)} completed it, {_time(review.since)}{why}: {quoted(review.title)}"
    task = plain(review.task)
    commands = (f"read {task}", f"review {task} accept 'WHY'", f"review {task} send-back 'WHY'")
    return Item(review.task, Styled(words), commands, "cyan")


def _offer(offer: "OfferShown") -> Item:
    left = f"for another {until(offer.expires_at)}"
    words = f"@{_sender(offer)} offers you {plain(offer.task)} {left}: {quoted(offer.note or offer.title)}"
    proofs = "".join(f" --proof {_quoted_word(f'{one.ref}=HASH')}" for one in offer.artifacts if one.command)
    name = plain(offer.offer)
    commands = (f"handoff {name} accept{proofs}", f"handoff {name} decline 'WHY'")
    return Item(offer.offer, Styled(words, *_how_to_prove(offer)), commands, "magenta")


def _how_to_prove(offer: "OfferShown") -> Iterator[str]:
    """Yield the commands that print the hashes of what the receiver must reach."""
    for one in offer.artifacts:
        if one.command:
            yield f"; HASH is the first word of: {plain(one.command)}"


def _quoted_word(text: str) -> str:
    import shlex

    return plain(shlex.quote(text))


def _suspect(one: "Suspect") -> Item:
    name = plain(one.name)
    words = Styled((plain(one.presence), PRESENCE.get(one.presence, "")), f" since {_time(one.since)}: ")
    return Item(
        f"@{one.name}",
        Styled(words, plain(with_local_times(one.reason))),
        (f"roster {name}", f"pause {name} --reason 'WHY'"),
        "red",
    )


def _owed(reminder: "Reminder") -> Item:
    times = f"{reminder.times} time{'s' * (reminder.times != 1)}"
    words = f"you were reminded {times}, the last at {_time(reminder.at)}"
    return Item(reminder.subject, Styled(words), tuple(_how_to_settle(reminder)), "yellow")


def _how_to_settle(reminder: "Reminder") -> Iterator[str]:
    """Yield the commands that settle what is owed."""
    subject = plain(reminder.subject)
    if reminder.subject.startswith("T-"):
        yield f"read {subject}"
        yield f"snooze {subject} 1d"
    elif reminder.subject.startswith("M-"):
        yield f"reply {subject} 'YOUR ANSWER'"
    elif reminder.subject.startswith("O-"):
        yield f"handoff {subject} decline 'WHY'"


def _news(wake: "Wake") -> Item:
    times = f" ({wake.count} times)" if wake.count > 1 else ""
    line = plain(with_local_times(quote_wake(wake.reason, _sender(wake), wake.line)))
    words = f"{plain(wake.reason)} from @{_sender(wake)}{times}: {line}"
    return Item(wake.subject, Styled(words), tuple(_how_to_read(wake)))


def _how_to_read(wake: "Wake") -> Iterator[str]:
    subject = plain(wake.subject)
    if subject.startswith("M-"):
        yield f"read {subject}"
        yield f"reply {subject} 'YOUR ANSWER'"
    elif subject.startswith("T-"):
        yield f"read {subject}"
    elif subject.startswith("@"):
        yield f"roster {subject[1:]}"


def _held(task: "TaskHeld") -> Item:
    words, style = STATES.get(task.state, (state_in_words(task.state), ""))
    left = f", {until(task.lease_until)} left" if task.lease_until and task.state == "claimed" else ""
    name = plain(task.task)
    commands = (f"done {name} 'WHAT YOU DID'", f"task note {name} 'WHAT MOVED'")
    return Item(task.task, Styled((words, style), f"{left}: {quoted(task.title)}"), commands)


def _sender(found: Any) -> str:
    """Return who something is from. In JSON, the field is a word of Python."""
    return plain(str(found["from"]))


def _time(at: str) -> str:
    return plain(day_and_time(at) if is_terminal() else at)
