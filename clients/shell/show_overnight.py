"""How a night looks in a terminal: one screen, a line for each thing, cut where the terminal ends."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from rich.text import Text

from teamroom.clients.session.terminal import aligned, console, grid, plain, print_json, span
from teamroom.clients.shell.show import PRESENCE, SECTIONS
from teamroom.server.acts.overnight.broke import Broken
from teamroom.server.acts.overnight.overnight import Night
from teamroom.server.acts.overnight.sections import Section
from teamroom.server.acts.overnight.stops import Stopped
from teamroom.server.acts.overnight.waits import Waiting
from teamroom.server.acts.overnight.work import Doer, Held
from teamroom.server.rules.text import state_in_words

Ago = Callable[[str], str]
Row = list[Text]

TITLE_CELLS = 30
"""How much of a title stands before what was last brought to the task."""


def overnight(reply: dict[str, Any], as_json: bool) -> None:
    """What happened, what waits and what broke first, on at most sixty lines."""
    if as_json:
        print_json(reply)
        return
    night = Night.model_validate(reply)
    out = console()
    for line in (_head(night), _pace(night)):
        line.truncate(out.width if out.is_terminal else len(line.plain) + 1, overflow="ellipsis")
        out.print(line)
    ago = partial(_ago, until=night.until)
    receipts = f"teamroom receipts --after {night.after}"
    _section("waits for a person", "magenta", night.waits, partial(_waiting, ago=ago), "teamroom board")
    _section("broke, and who noticed", "red", night.broke, partial(_broken, ago=ago), receipts)
    _section("stopped", "yellow", night.stopped, partial(_stopped, ago=ago), receipts)
    _section("has what now", "green", night.has, partial(_held, ago=ago), "teamroom board")
    _section("done", "cyan", night.done, _doer, receipts)


# ------------------------------------------------------------------ the head and the sections


def _head(night: Night) -> Text:
    looked = ", since you last looked" if night.since_last_look else ""
    words = f"{_time(night.since)} to {_time(night.until)} UTC ({span(_seconds(night.since, night.until))}{looked})"
    opened = night.tasks.get("open", 0)
    return Text.assemble((words, "bold"), f"  {night.entries:,} entries, {opened} task{'s' * (opened != 1)} open")


def _pace(night: Night) -> Text:
    """How much happened in each step, as bars; nothing is a gap."""
    most = max(night.pace.entries, default=0)
    return Text.assemble(
        (f"steps of {span(night.pace.step_seconds)} ", "dim"), (night.pace.bars, "cyan"), (f" at most {most:,}", "dim")
    )


def _section(title: str, style: str, section: Section[Any], row: Callable[[Any], Row], see: str) -> None:
    """A heading, a line for each thing that is shown, and one that counts the others."""
    out = console()
    out.print()
    if not section.total:
        out.print(Text(f"{title}: nothing", style="dim"))
        return
    out.print(Text(f"{title} {section.total:,}", style=f"bold {style}"))
    _lines([row(thing) for thing in section.shown])
    if section.left_out:
        more = Text(f"and {sum(section.left_out.values()):,} more: {see}  ({section.rest})", style="dim")
        more.truncate(out.width if out.is_terminal else len(more.plain) + 1, overflow="ellipsis")
        out.print(more)


def _lines(rows: Sequence[Row]) -> None:
    """Rows under each other, one line each: the last column takes what the others leave."""
    out = console()
    if not rows:
        return
    if out.is_terminal:
        out.print(grid(rows, out, free=len(rows[0]) - 1))
        return
    for line in aligned([[cell.plain or "-" for cell in row] for row in rows]):
        print(line)


# ------------------------------------------------------------------ one thing, in columns


def _waiting(waiting: Waiting, ago: Ago) -> Row:
    by = f"@{plain(waiting.by)}"
    what = {
        "escalation": f"{by} does not move it, reminded {waiting.times} times",
        "ask": f"{by} asks",
        "review": f"{by} completed it; to review",
        "blocked": f"blocks {by}",
        "offer": f"{by} offers it until {_time(waiting.until or waiting.since)}",
        "assigned": f"to begin, from {by}",
    }[waiting.kind]
    return [
        Text(plain(waiting.subject), style="bold"),
        Text(f"@{plain(waiting.person)}" if waiting.person else "anybody"),
        Text(ago(waiting.since), style="dim"),
        _with_text(what, waiting.text),
    ]


def _broken(broken: Broken, ago: Ago) -> Row:
    times = f" ({broken.times} times)" if broken.times > 1 else ""
    became = f"{plain(broken.became)}; " if broken.became else ""
    kind = state_in_words(broken.kind)
    return [
        Text(plain(broken.subject), style="bold"),
        Text("over", style="dim") if broken.over else Text(kind, style="red"),
        Text(ago(broken.at), style="dim"),
        Text.assemble((f"@{plain(broken.by)} noticed{times}: ", "dim"), f"{became}{plain(broken.line)}"),
    ]


def _stopped(stopped: Stopped, ago: Ago) -> Row:
    until = f" until {_time(stopped.until)}" if stopped.until else ""
    how = f"by @{plain(stopped.by)}{until}"
    if stopped.standing == "active":
        ended = f"{stopped.ending} by @{plain(stopped.ended_by)}" if stopped.ended_by else "ended by itself"
        how = f"{ended}{f' {ago(stopped.ended_at)} ago' if stopped.ended_at else ''}, stopped {how}"
    return [
        Text(plain(stopped.target), style="bold"),
        Text(stopped.standing, style=PRESENCE.get(stopped.standing, "green")),
        Text(ago(stopped.since), style="dim"),
        _with_text(how, stopped.reason),
    ]


def _held(held: Held, ago: Ago) -> Row:
    words, style = SECTIONS[held.state]
    title, last = Text(plain(held.title)), held.last
    title.truncate(TITLE_CELLS, overflow="ellipsis")
    waits = f"; waits: {plain(held.waits_for)}" if held.waits_for else ""
    text = "" if last is None else last.text or last.evidence
    brought = "" if last is None else f"; {state_in_words(plain(last.kind))}" + (f" “{plain(text)}”" if text else "")
    return [
        Text(plain(held.task), style="bold"),
        Text("overdue", style="bold red") if held.overdue else Text(words, style=style),
        Text.assemble(f"@{plain(held.holder)} ", (plain(held.presence), PRESENCE.get(held.presence, "dim"))),
        Text("" if last is None else ago(last.at), style="dim"),
        Text.assemble(title, waits, brought),
    ]


def _doer(doer: Doer) -> Row:
    numbers = (
        ("completed", doer.completed),
        ("reviewed", doer.reviewed),
        ("handed over", doer.handed_over),
        ("took over", doer.took_over),
        ("reports", doer.reports),
    )
    did = ", ".join(f"{name} {number:,}" for name, number in numbers if number)
    newest = "; ".join(f"{plain(task.task)} “{plain(task.title)}”" for task in doer.newest)
    return [Text(f"@{plain(doer.member)}", style="bold"), Text(did + (f": {newest}" if newest else ""))]


def _with_text(what: str, text: str) -> Text:
    return Text(f"{what}: “{plain(text)}”" if text else what)


def _time(at: str) -> str:
    """Month, day, hour and minute, in UTC."""
    return plain(at[5:16]).replace("T", " ")


def _ago(at: str, until: str) -> str:
    return span(_seconds(at, until))


def _seconds(since: str, until: str) -> float:
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()
