"""Messages: post, reply, ask, and read in full."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from teamroom.clients.session.blocking import connected
from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import Place, is_name
from teamroom.clients.session.program import printed
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.terminal import (
    Styled,
    is_terminal,
    plain,
    print_hanging,
    print_json,
    print_line,
    quoted_lines,
)
from teamroom.clients.session.times import day_and_time, with_local_times
from teamroom.clients.shell.acting import RequestId, act, print_forecasts, receipt_of
from teamroom.clients.shell.app import Json, command
from teamroom.clients.shell.board import reminders_of, show_task
from teamroom.clients.shell.decisions import show_decision
from teamroom.clients.shell.typed import Message, again, find_kind, message_id, names, task_id
from teamroom.clients.shell.writing import is_person_at_terminal, written
from teamroom.server.rules.text import backtick
from teamroom.server.rules.wakes import describe_steps

if TYPE_CHECKING:
    from teamroom.server.acts.messages.messages import Message as Posting
    from teamroom.server.acts.messages.messages import Posted

SECTION = "Messages"

Kind = Literal["note", "report", "ask", "alert"]

Text = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT", help="The text, or - for standard input. Default: your editor opens."),
]
To = Annotated[
    list[str] | None, typer.Option("--to", metavar="NAME", help="Address this member. Repeat it for several.")
]
About = Annotated[
    str | None, typer.Option("--task", metavar="TASK", parser=task_id, help="The task that it is about, such as T-12.")
]
Summary = Annotated[
    str | None, typer.Option("--summary", metavar="TEXT", help="The line in the stream. Default: the text's beginning.")
]
KindOption = Annotated[Kind, typer.Option("--kind", metavar="KIND", help="note, report, ask or alert.")]


@command(SECTION)
def post(
    context: typer.Context,
    place: Place,
    text: Text = None,
    to: To = None,
    task: About = None,
    kind: KindOption = "note",
    summary: Summary = None,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Post a message to the stream. A name with @ in the text, or --to, wakes that member."""
    about = _addressed("Write your message above", to)
    with written(place, context, text, about) as found:
        arguments = {"to": names(to), "task": task, "kind": kind, "summary": summary}
        reply = act(place, context, "post_message", request_id, found, text=found.text, **arguments)
    _show_posted(reply, json)


@command(SECTION)
def ask(
    context: typer.Context,
    place: Place,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whom to ask; several with commas.")],
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="The question, or - for standard input. Default: your editor opens."),
    ] = None,
    task: About = None,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Ask members a question. They are woken, and reminded until they answer."""
    asked = _asked(context, name, text)
    with written(place, context, text, _addressed("Write your question above", asked)) as found:
        arguments = {"to": asked, "task": task, "kind": "ask"}
        reply = act(place, context, "post_message", request_id, found, text=found.text, **arguments)
    _show_posted(reply, json)


@command(SECTION)
def reply(
    context: typer.Context,
    place: Place,
    message: Message,
    text: Text = None,
    to: To = None,
    kind: KindOption = "note",
    summary: Summary = None,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Answer a message. Its author is woken, and an ask is settled."""
    about = _original(place, message) if not text and is_person_at_terminal(place) else ""
    with written(place, context, text, about) as found:
        arguments = {"reply_to": message, "to": names(to), "kind": kind, "summary": summary}
        done = act(place, context, "post_message", request_id, found, text=found.text, **arguments)
    _show_posted(done, json)


def _asked(context: typer.Context, name: str, text: Sequence[str] | None) -> list[str] | None:
    """Return whom an ask is for. Raises Failure if the question stands where the name should."""
    parts = [one.strip().lstrip("@") for one in name.split(",")]
    if all(map(is_name, parts)):
        return names([name])
    question = [" ".join([name, *(text or ())])]
    raise Failure(
        f"{plain(name)!r} is not the name of a member.",
        f"Name whom you ask: {again(context, {'name': 'NAME', 'text': question})}",
        USAGE,
    )


def _addressed(what: str, to: Sequence[str] | None) -> str:
    whom = f", to {', '.join('@' + name for name in to)}" if to else ""
    return f"{what}{whom}. Save nothing to send nothing."


def _original(place: Place, message: str) -> str:
    """Return the message that is answered, quoted, for the editor. Raises Failure."""
    with connected(place) as room:
        found: Posting = shaped(room.call("read_messages", ids=[message])["messages"][0])
    quotation = "\n".join(quoted_lines(found.text))
    return f"Write your answer above. Save nothing to send nothing.\n\n@{plain(found.author)} wrote:\n{quotation}"


def _show_posted(reply: dict[str, Any], as_json: bool) -> None:
    """Print a posted message, and when its addressees will answer."""
    if as_json:
        print_json(reply)
        return
    done: Posted = shaped(reply)
    folded = " Your notes for this hour are used up, so it is folded into one line with others." if done.folded else ""
    print(f"Posted {plain(done.message)}{receipt_of(done)}.{folded}")
    print_forecasts(done.forecast)


# ------------------------------------------------------------------ read


@command(SECTION)
def read(
    context: typer.Context,
    place: Place,
    what: Annotated[list[str], typer.Argument(metavar="ID", help="Messages (M-7), tasks (T-3) or decisions (D-2).")],
    thread: Annotated[bool, typer.Option("--thread", help="Show the whole thread of a message.")] = False,
    json: Json = False,
) -> None:
    """Read messages, tasks or decisions in full."""
    kinds = {one: find_kind(one) for one in what}
    unclear = [one for one, kind in kinds.items() if kind not in ("message", "task", "decision")]
    if unclear:
        raise Failure(*_unclear(context, unclear[0]), USAGE)
    messages = [message_id(one) for one, kind in kinds.items() if kind == "message"]
    tasks = [task_id(one) for one, kind in kinds.items() if kind == "task"]
    asked = [one.strip().upper() for one, kind in kinds.items() if kind == "decision"]
    if thread and (tasks or asked or len(messages) != 1):
        raise typer.BadParameter("--thread needs one message")
    with connected(place) as room:
        selected = {"thread": messages[0], "limit": 50} if thread else {"ids": messages}
        found = room.call("read_messages", **selected) if messages else {"messages": []}
        boards = [room.call("read_board", task=one) for one in tasks]
        decisions = [room.read(f"teamroom://decisions/{name}") for name in asked]
    if json:
        print_json(
            {
                **found,
                "tasks": [board["task"] for board in boards],
                "decisions": [one["decisions"][0] for one in decisions],
            }
        )
        return
    shown = 0
    for message in found["messages"]:
        _show_message(shaped(message), is_first=not shown)
        shown += 1
    for board in boards:
        if shown:
            print()
        show_task(shaped(board["task"]), {})
        shown += 1
    for decision in decisions:
        if shown:
            print()
        show_decision(shaped(decision), place)
        shown += 1
    if left := found.get("left_out"):
        print(
            f"\nToo long for one reply. For the others, run: {printed('read ' + ' '.join(left), place.named_options)}"
        )


def _unclear(context: typer.Context, word: str) -> tuple[str, str]:
    """Return why a word names nothing that can be read, and the commands that may be meant."""
    if word.removeprefix("#").isdecimal():
        number = word.removeprefix("#")
        one, other = (backtick(again(context, {"what": [f"{letter}-{number}"]})) for letter in "MT")
        return f"{word} may be a message or a task.", f"For the message, run {one}. For the task, run {other}."
    if word.upper().startswith("O-"):
        return f"{word} is an offer.", "To see the offers to you, run: teamroom inbox"
    return (
        f"{word!r} is no id.",
        "Write a message like M-7, a task like T-3 and a decision like D-2. To see them, run: teamroom stream",
    )


def _show_message(found: "Posting", is_first: bool) -> None:
    """Print a message in full, its text quoted as its author's."""
    if not is_first:
        print()
    about = f" on {plain(found.task)}" if found.task else ""
    answers = f", answers {plain(found.reply_to)}" if found.reply_to else ""
    at = plain(day_and_time(found.at) if is_terminal() else found.at)
    head = f"@{plain(found.author)} ({plain(found.author_kind)}) {plain(found.kind)}{about}{answers}, {at}"
    print_hanging(Styled(plain(found.id), style="bold"), Styled(head, style="dim"))
    for line in quoted_lines(found.text):
        print_line(Styled(f"  {line}"))
    for line in reminders_of(found):
        print_hanging(Styled("  reminder", style="dim"), Styled(plain(line)))
    for seen in found.wakes:
        print_hanging(Styled("  wake", style="dim"), Styled(plain(with_local_times(describe_steps(seen)))))
