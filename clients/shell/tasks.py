"""The board's tasks: add, edit, assign, release and cancel them, and report on one that you hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from inspect import Signature, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.blocking import BlockingRoom, connected
from teamroom.clients.session.failure import Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.program import own_name
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.terminal import Styled, plain, print_json, print_line, quoted
from teamroom.clients.session.times import date_and_time
from teamroom.clients.shell.acting import RequestId, act, receipt_of
from teamroom.clients.shell.app import Commands, Json, Span, app, bare, command, span, typed_seconds
from teamroom.clients.shell.typed import Task, again, task_id
from teamroom.clients.shell.writing import Note, Written, edit, is_person_at_terminal, text_option, written
from teamroom.server.rules.text import state_in_words

if TYPE_CHECKING:
    from teamroom.server.acts.tasks.board import TaskShown
    from teamroom.server.acts.tasks.tasks import Created, Updated

SECTION = "Work"

NONE = "none"
"""The value of an option that empties a list."""

TITLE_CHARACTERS = 200
"""The longest title."""

SUBCOMMANDS = {
    **dict.fromkeys(("new", "create", "open", "make"), "add"),
    **dict.fromkeys(("change", "update", "set", "rename", "modify"), "edit"),
    **dict.fromkeys(("give", "reassign"), "assign"),
    **dict.fromkeys(("free", "unclaim", "drop", "reopen"), "release"),
    **dict.fromkeys(("close", "delete", "remove", "rm", "del", "abort"), "cancel"),
    **dict.fromkeys(("report", "progress", "comment", "log"), "note"),
    **dict.fromkeys(("wait", "blocked"), "block"),
}
"""The words that people guess after `task`, and the subcommand that each leads to."""

OUTSIDE = {
    **dict.fromkeys(("list", "ls", "all", "board"), "board"),
    **dict.fromkeys(("show", "read", "view", "get"), "read"),
    **dict.fromkeys(("claim", "take", "start"), "claim"),
    **dict.fromkeys(("done", "complete", "finish"), "done"),
    **dict.fromkeys(("review", "accept", "approve"), "review"),
    **dict.fromkeys(("snooze", "later", "defer"), "snooze"),
    **dict.fromkeys(("handoff", "hand-off", "offer"), "handoff"),
}
"""The words after `task` for which the shell has a command of its own."""


class TaskCommands(Commands):
    """The subcommands of `task`. A word that people guess leads to the one that is meant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the subcommand that a command line names, and its own arguments."""
        word, *given = args
        folded = word.casefold()
        if folded == "help":
            print(ctx.get_help())
            raise typer.Exit
        if folded in OUTSIDE:
            return ctx.fail(_meant(OUTSIDE[folded], given))
        if _is_task(word):
            return ctx.fail(_meant("read", [word, *given]))
        return super().resolve_command(ctx, [SUBCOMMANDS.get(folded, word), *given])


def _is_task(word: str) -> bool:
    try:
        task_id(word)
    except typer.BadParameter:
        return False
    return True


def _meant(name: str, given: Sequence[str]) -> str:
    """Return what to say if another command is meant."""
    import shlex

    return f"You may mean: {shlex.join([own_name(), name, *given])}"


task = typer.Typer(name="task", cls=TaskCommands, no_args_is_help=True, rich_markup_mode=None)
app.add_typer(task, rich_help_panel=SECTION)


@task.callback()
def task_commands() -> None:
    """Add a task, change it, or report on it. The subcommands are add, edit, assign, release, cancel, note, block."""


Title = Annotated[
    list[str] | None,
    typer.Argument(metavar="TITLE", help="The title. With - or an editor, the first line; the rest is the detail."),
]
Detail = Annotated[str | None, text_option("--detail", "What to do, and when it is done.")]
Needs = Annotated[
    list[str] | None,
    typer.Option("--need", metavar="TEXT", help="A capability that the holder needs, such as repo:acme/api. Repeat."),
]
Priority = Annotated[
    int | None, typer.Option("--priority", metavar="N", min=-100, max=100, help="From -100 to 100; higher goes first.")
]
Due = Annotated[Span, span("--due", help="How long from now it is due, such as 2d.")]
DependsOn = Annotated[
    list[str] | None,
    typer.Option("--depends-on", metavar="TASK", help="A task to finish first, such as T-1. Repeat for several."),
]
Review = Annotated[
    str | None, typer.Option("--review", metavar="WHO", help="Who reviews it: auto, none or a member's name.")
]
Fence = Annotated[
    int | None, typer.Option("--fence", metavar="N", min=0, help="The fence of your claim. Default: the newest.")
]


@command(SECTION, group=task)
def add(
    context: typer.Context,
    place: Place,
    text: Title = None,
    detail: Detail = None,
    need: Needs = None,
    priority: Priority = None,
    due: Due = None,
    depends_on: DependsOn = None,
    assign: Annotated[
        str | None, typer.Option("--assign", metavar="NAME", parser=bare, help="Only this member may claim it.")
    ] = None,
    review: Review = None,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Add a task to the board."""
    about = "Write the title on the first line, and the detail below it. Save nothing to add nothing."
    arguments: dict[str, Any] = {"needs": _words(need), "priority": priority, "due": due}
    arguments |= {"depends_on": _ids(depends_on)}
    with written(place, context, text, about) as found:
        title, rest = _title_and_detail(found.text)
        arguments |= {"title": title, "detail": detail or rest or None, "assign": assign, "review": review}
        reply = act(place, context, "create_task", request_id, found, **arguments)
    if json:
        print_json(reply)
        return
    done: Created = shaped(reply)
    whom = f" for @{plain(assign)}" if assign else ""
    print_line(Styled(f"Added {plain(done.task)}{whom}{receipt_of(done)}: {quoted(title)}"))


def _title_and_detail(text: str) -> tuple[str, str]:
    """Split a text into a title, which is its first line, and what is below it."""
    title, _, rest = text.strip().partition("\n")
    return title.strip(), rest.strip("\n")


def _ids(given: Sequence[str] | None) -> list[str] | None:
    """Return the ids of tasks that were given one by one or with commas; an empty list for `none`."""
    words = _words(given)
    return None if words is None else [task_id(one) for one in words]


def _words(given: Sequence[str] | None) -> list[str] | None:
    """Return values that were given one by one or with commas; an empty list for `none`."""
    found = [one.strip() for words in given or () for one in words.split(",") if one.strip()]
    return [] if [one.casefold() for one in found] == [NONE] else found or None


@dataclass(frozen=True)
class Change:
    """A change to a task, with the options that every command for one has."""

    place: Place
    context: typer.Context
    task: str
    fence: int | None
    request_id: str | None
    json: bool

    def __call__(self, text: Written | None = None, /, **arguments: Any) -> None:
        """Change the task, with its fence if the caller holds it, and print its state. Raises Failure."""
        fence = held_fence(self.place, self.task) if self.fence is None else self.fence
        given = {"task": self.task, "fence": fence, **arguments}
        reply = act(self.place, self.context, "update_task", self.request_id, text, {"fence": fence}, **given)
        show_updated(reply, self.json)


def changing(work: Callable[..., None]) -> Callable[..., None]:
    """Give a command its task and the options of every change. It gets them as `change`, which sends the rest."""

    def run(
        context: typer.Context,
        place: Place,
        task: Task,
        fence: Fence = None,
        request_id: RequestId = None,
        json: Json = False,
        **arguments: Any,
    ) -> None:
        work(change=Change(place, context, task, fence, request_id, json), **arguments)

    shared = [one for one in signature(run, eval_str=True).parameters.values() if one.kind is not one.VAR_KEYWORD]
    own = [one for one in signature(work, eval_str=True).parameters.values() if one.name != "change"]
    parameters = [one.replace(kind=one.KEYWORD_ONLY) for one in (*shared[:3], *own, *shared[3:])]
    update_wrapper(run, work).__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return run


@command(SECTION, "edit", group=task)
@changing
def edit_(
    change: Change,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="The new title.")] = None,
    detail: Detail = None,
    need: Needs = None,
    priority: Priority = None,
    due: Due = None,
    depends_on: DependsOn = None,
    review: Review = None,
    note: Note = None,
) -> None:
    """Change a task. Without options, your editor opens with its title and detail.

    To empty a list, give none: --need none
    """
    changes = {"title": title, "detail": detail, "needs": _words(need), "priority": priority, "due": due}
    changes |= {"depends_on": _ids(depends_on), "review": review}
    if any(value is not None for value in changes.values()):
        change(changes=_given(changes), note=note)
        return
    place, task = change.place, change.task
    if not is_person_at_terminal(place):
        example = again(change.context, {}, {"title": "TITLE"})
        raise Failure("There is nothing to change.", f"Give what changes: {example}", 2)
    with connected(place) as room:
        shown = _shown(room, task)
    changed = edit(f"{task}: the title is on the first line, the detail below it.", _as_text(shown))
    try:
        with connected(place) as room:
            if _as_text(_shown(room, task)) != _as_text(shown):
                raise Failure(f"{task} was changed meanwhile, so nothing was sent.", f"Run: {again(change.context)}")
        new_title, new_detail = _title_and_detail(changed.text)
        texts = {"title": new_title, "detail": new_detail}
        changes = {name: value for name, value in texts.items() if value != getattr(shown, name)}
        change(changes=changes, note=note)
    except Failure as failure:
        failure.fix += f" Your text is in {changed.file}."
        raise
    if changed.file is not None:
        changed.file.unlink(missing_ok=True)


def _as_text(shown: "TaskShown") -> str:
    """Return a task's title and detail as a person edits them."""
    return f"{shown.title}\n\n{shown.detail}".rstrip()


def _given(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if value is not None}


@command(SECTION, group=task)
@changing
def assign(
    change: Change,
    name: Annotated[
        str, typer.Argument(parser=bare, metavar="NAME", help="Only this member may claim it; nobody for anyone.")
    ],
    note: Note = None,
) -> None:
    """Assign a task to a member, who is woken. Nobody else may claim it then."""
    whom = "" if name.casefold() in ("nobody", NONE, "anyone") else name
    change(changes={"assign": whom}, note=note)


@command(SECTION, group=task)
@changing
def release(
    change: Change,
    note: Note = None,
) -> None:
    """Reopen a claimed task, so that others can claim it. Its holder is told."""
    change(status="released", note=note)


@command(SECTION, group=task)
@changing
def cancel(
    change: Change,
    note: Note = None,
) -> None:
    """Cancel a task for good. Its holder is told, and the tasks that waited for it can start."""
    change(status="cancelled", note=note)


@command(SECTION, "note", group=task)
@changing
def note_(
    change: Change,
    text: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="What moved, or - for standard input.")
    ] = None,
) -> None:
    """Report progress on a task that you hold. This renews its lease."""
    about = f"Write what moved in {change.task} above. Save nothing to report nothing."
    with written(change.place, change.context, text, about) as found:
        change(found, status="working", note=found.text)


@command(SECTION, group=task)
@changing
def block(
    change: Change,
    on: Annotated[
        str,
        typer.Argument(
            parser=typed_seconds,
            metavar="WHAT",
            help="What it waits for, such as T-1, O-2, @name or 2h.",
        ),
    ],
    note: Note = None,
) -> None:
    """Say what a task that you hold waits for. Its lease stops meanwhile."""
    arguments = {"status": "blocked", "blocked_on": on, "note": note}
    change(**arguments)


def show_updated(reply: dict[str, Any], as_json: bool) -> None:
    """Print the state of a task that was changed."""
    if as_json:
        print_json(reply)
        return
    done: Updated = shaped(reply)
    until = f", lease until {plain(date_and_time(done.lease_until))}" if done.lease_until else ""
    print(f"{plain(done.task)} is {state_in_words(plain(done.state))}{until}{receipt_of(done)}.")
    if done.snoozed_until:
        print(f"Its reminders are held back until {plain(date_and_time(done.snoozed_until))}.")


def held_fence(place: Place, task: str) -> int | None:
    """Return the fence of a task that the caller holds; None if another member does, or nobody. Raises Failure."""
    with connected(place) as room:
        held = room.read("teamroom://me")["tasks"]
    return next((int(one["fence"]) for one in held if one["task"] == task), None)


def _shown(room: BlockingRoom, task: str) -> "TaskShown":
    """Return a task in full. Raises Failure."""
    shown: TaskShown = shaped(room.call("read_board", task=task)["task"])
    return shown
