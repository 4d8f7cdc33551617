"""The board: the unfinished tasks by state, or one task in full."""

import json as json_module
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.blocking import BlockingRoom, connected
from teamroom.clients.session.place import Place
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.spans import until
from teamroom.clients.session.terminal import (
    Layout,
    Row,
    Styled,
    cited,
    is_terminal,
    plain,
    print_hanging,
    print_json,
    print_line,
    print_rows,
    quoted,
    quoted_lines,
)
from teamroom.clients.session.times import date_and_time, day_and_time, with_local_times
from teamroom.clients.shell.app import Follow, Json, command
from teamroom.clients.shell.colours import PRESENCE, STATES
from teamroom.clients.shell.following import Changes, View
from teamroom.clients.shell.following import follow as show_changes
from teamroom.clients.shell.reading import pages
from teamroom.server.rules.text import backtick, cite_block, state_in_words

if TYPE_CHECKING:
    from teamroom.server.acts.decisions.decisions import Decisions
    from teamroom.server.acts.messages.messages import Message
    from teamroom.server.acts.tasks.board import Board, TaskLine, TaskShown
    from teamroom.server.facts.task import Entry

BAR_CELLS = 12

LAYOUT = Layout(free=1, first=(0, 1), share=0.5)
"""Id, title, holder and lease: the title takes the width that is left."""

LOOKS_WELL = frozenset({"live", "working", "asleep"})
"""The presence that a reader takes for a member that answers."""

Presence = Mapping[str, str]
"""The presence of members by name."""


@command("Work")
def board(
    place: Place,
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Show one task in full, such as T-12.")] = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="open, claimed, blocked, offered, in_review, done, … or all."),
    ] = None,
    query: Annotated[
        str | None,
        typer.Option("--query", metavar="TEXT", help="Show only tasks with these words."),
    ] = None,
    follow: Follow = False,
    json: Json = False,
) -> None:
    """Show unfinished tasks, who holds them and what they wait for.

    With --follow, a terminal shows the board as it changes. A pipe gets each change once, as a line.
    """
    if follow:
        show_changes(place, _followed(task, state, query), json)
        return
    with connected(place) as room:
        reply, presence = _read(room, task, state, query)
    if json:
        print_json(reply)
    else:
        _show(shaped(reply), presence)


def _read(
    room: BlockingRoom, task: str | None, state: str | None, query: str | None
) -> tuple[dict[str, Any], Presence]:
    """Read the board or one task, and the presence of each holder. Raises Failure."""
    if task is not None:
        reply = room.call("read_board", task=task)
        holders = {reply["task"]["holder"]} - {None}
    else:
        reply = pages(room, "read_board", "tasks", state=state, query=query)
        holders = {line["holder"] for line in reply["tasks"]} - {None}
    members = pages(room, "who", "members")["members"] if holders else []
    return reply, {member["name"]: _presence(member) for member in members}


def _presence(member: Mapping[str, Any]) -> str:
    """Return a member's presence, and whether nothing listens for it."""
    is_heard = member["kind"] != "agent" or member["supported"] or member["presence"] not in LOOKS_WELL
    return str(member["presence"]) if is_heard else f"{member['presence']}, no listener"


def _show(found: "Board", presence: Presence) -> None:
    if found.task is not None:
        show_task(found.task, presence)
        return
    if is_terminal():
        _show_sections(found.tasks, presence)
    else:
        print_rows([_cells(task, presence) for task in found.tasks])
    if found.next:
        print(f"More tasks follow after {plain(found.next)}. Narrow the list with --state or --query.")


# ------------------------------------------------------------------ as it changes

Read = tuple[dict[str, Any], Presence]


def _followed(task: str | None, state: str | None, query: str | None) -> View[Read]:
    """Return the board, or one task, as something to follow."""
    return View(
        title="board" if task is None else f"board {task}",
        read=lambda room: _read(room, task, state, query),
        draw=lambda read: _show(shaped(read[0]), read[1]),
        changes=_changes,
        gone=_gone if task is None else lambda room, key: None,
    )


def _changes(read: Read) -> Changes:
    """Return what a pipe shows of the board: each task by its id. Of one task, each entry of its history."""
    found: Board = shaped(read[0])
    if found.task is not None:
        return {
            json_module.dumps(entry): (entry, f"{plain(entry.at)}  {_entry(entry)}")
            for entry in reversed(found.task.history)
        }
    return {task.task: (_lasting(task), _line(task)) for task in found.tasks}


def _lasting(task: "TaskLine") -> dict[str, Any]:
    """Return what time alone does not change."""
    shown: Mapping[str, Any] = task  # type: ignore[assignment]  # a Shape, which is a dict
    return {name: value for name, value in shown.items() if name != "lease_until"}


def _line(task: "TaskLine") -> str:
    """Return a task on one line, with its state and without what time alone changes."""
    waits = f"waits: {_waiting_for(task)}" if task.waiting_for else "overdue" if task.overdue else ""
    holder = f"@{plain(task.holder)}" if task.holder else ""
    state = state_in_words(plain(task.state))
    return "  ".join(part for part in (plain(task.task), state, holder, waits, quoted(task.title)) if part)


def _gone(room: BlockingRoom, key: str) -> tuple[Any, str] | None:
    """Return what became of a task that is no more on the board that is followed."""
    task: TaskShown = shaped(room.call("read_board", task=key)["task"])
    names = ("task", "title", "creator", "state", "priority", "holder", "overdue", "waiting_for")
    return {name: getattr(task, name) for name in names}, _line(task)


# ------------------------------------------------------------------ the board


def _show_sections(tasks: "Sequence[TaskLine]", presence: Presence) -> None:
    """Print the tasks of each state under a heading."""
    if not tasks:
        print_line(Styled(""))
        print("The board is empty. Agents and people add tasks with create_task.")
        return
    print_line(_counts(tasks))
    ordered = _in_order(tasks)
    for state, (words, style) in STATES.items():
        section = [_row(task, presence) for task in ordered if task.state == state]
        if section:
            print()
            print_line(Styled(f"{words} {len(section)}", style=f"bold {style}"))
            print_rows(section, LAYOUT)


def _in_order(tasks: "Sequence[TaskLine]") -> "list[TaskLine]":
    """Return tasks by state, the most urgent first; open ones by priority."""
    states = list(STATES)
    return sorted(tasks, key=lambda task: (states.index(task.state), -task.priority if task.state == "open" else 0))


def _counts(tasks: "Sequence[TaskLine]") -> Styled:
    """Return the number of tasks in each state, as bars."""
    counts = Counter(task.state for task in tasks)
    most = max(counts.values())
    pieces: list[tuple[str, str]] = []
    for state, (words, style) in STATES.items():
        if counts[state]:
            cells = max(1, round(BAR_CELLS * counts[state] / max(most, BAR_CELLS)))
            pieces += [(f"{words} ", "dim"), ("▇" * cells, style), (f" {counts[state]}   ", "")]
    overdue = sum(task.overdue for task in tasks)
    return Styled(*pieces, (f"overdue {overdue}" if overdue else "", "bold red"))


def _row(task: "TaskLine", presence: Presence) -> Row:
    """Return a task as a row under its state."""
    mark = f"↑{task.priority} " if task.priority > 0 else ""
    return [
        Styled(plain(task.task), style="bold"),
        Styled((mark, "bold"), quoted(task.title)),
        _holder(task, presence),
        Styled(_state_of_lease(task), style="bold red" if task.overdue else "dim"),
    ]


def _cells(task: "TaskLine", presence: Presence) -> Row:
    """Return a task as a row with its state."""
    return [
        Styled(plain(task.task)),
        Styled(state_in_words(plain(task.state))),
        _holder(task, presence),
        Styled(_state_of_lease(task)),
        Styled(quoted(task.title)),
    ]


def _holder(task: "TaskLine", presence: Presence) -> Styled:
    if task.holder is None:
        return Styled("")
    now = presence.get(task.holder, "")
    return Styled(
        f"@{plain(task.holder)}", (f" {plain(now)}" if now else "", PRESENCE.get(now.partition(",")[0], "dim"))
    )


def _state_of_lease(task: "TaskLine") -> str:
    if task.waiting_for:
        return f"waits: {_waiting_for(task)}"
    if task.overdue:
        return "overdue"
    return f"{until(task.lease_until)} left" if task.lease_until and task.state == "claimed" else ""


def _waiting_for(task: "TaskLine") -> str:
    """Return what a task waits for: a member, or a text of its holder."""
    waiting_for = task.waiting_for or ""
    return plain(cite_block(waiting_for) if task.state == "blocked" else waiting_for)


# ------------------------------------------------------------------ one task


def show_task(task: "TaskShown", presence: Presence) -> None:
    """Print a task, its holder and its history."""
    print_hanging(Styled(plain(task.task), style="bold"), Styled(quoted(task.title), style="bold"))
    for name, value in _facts(task, presence):
        if value.text:
            print_hanging(Styled(f"  {name:<12}", style="dim"), value)
    if task.detail:
        print()
        print_line(Styled(f"  @{plain(task.creator)} wrote:", style="dim"))
        for line in quoted_lines(task.detail):
            print_line(Styled(f"  {line}"))
    print()
    show_history(task.history)


def show_history(history: "Sequence[Entry]") -> None:
    """Print what happened to a task, one entry after the other."""
    for entry in history:
        print_hanging(Styled(f"  {plain(day_and_time(entry.at))}", style="dim"), Styled(_entry(entry)))


def _entry(entry: "Entry") -> str:
    text = f": {quoted(entry.text)}" if entry.text else ""
    return f"@{plain(entry.member)} {state_in_words(plain(entry.kind))}{text}"


def _facts(task: "TaskShown", presence: Presence) -> list[tuple[str, Styled]]:
    words, style = STATES.get(task.state, (task.state, "dim"))
    before = ", ".join(f"{d['task']} ({state_in_words(d['state'])})" for d in task.depends_on)
    return [
        ("state", Styled((words, style), (" overdue" if task.overdue else "", "bold red"))),
        ("holder", _holder(task, presence)),
        ("lease until", Styled(plain(date_and_time(task.lease_until or "")))),
        ("waits for", Styled(_waiting_for(task))),
        ("assigned", Styled(plain(task.assigned or ""))),
        ("external id", Styled(cited(task.external) if task.external else "")),
        ("created", Styled(f"{plain(date_and_time(task.created_at))} by @{plain(task.creator)}")),
        ("due", Styled(plain(date_and_time(task.due or "")))),
        ("needs", Styled(", ".join(map(cited, task.needs)))),
        ("depends on", Styled(plain(before))),
        ("completed by", Styled(plain(_completed_by(task)))),
        ("reviewer", Styled(plain(task.reviewer or ""))),
        ("summary", Styled(quoted(task.summary))),
        *(("evidence", Styled(evidence_in_words(item))) for item in task.evidence),
        *(("reminder", Styled(plain(line))) for line in reminders_of(task)),
    ]


def _completed_by(task: "TaskShown") -> str:
    if not task.completed_by:
        return ""
    upheld = f" ({task.upheld} upheld)" if task.upheld is not None else ""
    return f"{task.completed_by}{upheld}{f' at {date_and_time(task.completed_at)}' if task.completed_at else ''}"


def evidence_in_words(item: Mapping[str, Any]) -> str:
    """Return a piece of evidence, and how to check it."""
    check = f"; check: {backtick(plain(item['check']))}" if item.get("check") else ""
    return f"{plain(str(item.get('kind')))} {cited(str(item.get('ref')))}{check}"


def reminders_of(found: "TaskShown | Message | Decisions") -> list[str]:
    """Return the reminders of a task, an ask or a decision in words. Their model loads only where there are any."""
    if not found.reminders:
        return []
    from teamroom.server.facts.owed import Slot

    return [with_local_times(Slot.model_validate(slot).line()) for slot in found.reminders]
