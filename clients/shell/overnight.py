"""The morning report: what happened since you last looked, on one screen."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from teamroom.clients.session.blocking import BlockingRoom
from teamroom.clients.session.place import Place
from teamroom.clients.session.program import printed
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.spans import seconds_between
from teamroom.clients.session.spans import span as in_words
from teamroom.clients.session.terminal import (
    Layout,
    Row,
    Styled,
    cited,
    console,
    is_narrow,
    is_terminal,
    plain,
    print_json,
    print_line,
    print_rows,
    quoted,
)
from teamroom.clients.session.times import day_and_time, with_local_times, zone
from teamroom.clients.shell.app import Follow, Json, Span, command, span
from teamroom.clients.shell.colours import PRESENCE, STATES
from teamroom.clients.shell.following import Changes, View
from teamroom.clients.shell.following import follow as show_changes
from teamroom.clients.shell.reading import read
from teamroom.server.rules.hooks import with_span
from teamroom.server.rules.overnight import HEAD_LINES, LINES, bars, count_records
from teamroom.server.rules.text import cite_block, state_in_words

if TYPE_CHECKING:
    from teamroom.server.acts.overnight.broke import Broken
    from teamroom.server.acts.overnight.overnight import Night
    from teamroom.server.acts.overnight.sections import Section
    from teamroom.server.acts.overnight.stops import Stopped
    from teamroom.server.acts.overnight.waits import Waiting
    from teamroom.server.acts.overnight.work import Doer, Held
    from teamroom.server.facts.authorization import AuthorizationShown

HOUR_SECONDS = 3600.0

PASSING = frozenset({"presence", "reason", "lease_until"})
"""What changes with time alone, so that a followed report does not show it as a change."""

IDENTITY = ("kind", "subject", "person", "target", "task", "member", "since")
"""The fields that name a thing of the report."""

Ago = Callable[[str], str]

TITLE_SHARE = 0.4
"""The share of a terminal's width that a task's title gets, before its newest report."""

PIPED_CELLS = 30
"""The width of a title in a pipe."""

THINGS = Layout(whole=(0, 2), first=(0, 1, 2))
"""What, who or which state, how long ago, and a text."""

HELD = Layout(whole=(0, 1), first=(0, 1, 2, 3))
"""A task, its state, its holder, how long ago it moved, and its title with what was brought last."""


@command("What happened")
def overnight(
    place: Place,
    since: Annotated[Span, span("--since", help="How far back, such as 12h. Default: since you last looked.")] = None,
    follow: Follow = False,
    json: Json = False,
) -> None:
    """Show what happened while you were away. Fits on one screen.

    It shows what waits for you, what broke, who is stopped, who has what and who did what. With --follow, the span
    keeps its beginning.
    """
    if follow:
        show_changes(place, _followed(since, place.named_options), json)
        return
    hours = "" if since is None else f"/{since / 3600:.6f}"
    reply = read(place, f"teamroom://overnight{hours}")
    if json:
        print_json(reply)
    else:
        show(reply, place.named_options)


def show(reply: dict[str, Any], options: Mapping[str, str] | None = None) -> None:
    """Print the report, at most 60 lines. What waits for a person comes first."""
    night: Night = shaped(reply)
    for line in _head(night):
        print_line(line, is_cut=not _is_narrow())
    print_line(_pace(night), is_cut=True)
    ago = partial(_ago, until=night.until)
    read = "receipts" if night.reads_receipts else "stream"
    given = options or {}
    entries, board, stream = (printed(words, given) for words in (f"{read} --after {night.after}", "board", "stream"))
    sections: list[Section[Any]] = [night.waits, night.broke, night.stopped, night.has, night.done]
    if night.allowed.counts:
        sections.append(night.allowed)
    shown = [len(section.shown) for section in sections]
    fits = count_records(shown, LINES - HEAD_LINES) if _is_narrow() else shown
    waits = stream if set(night.waits.left_out) == {"ask"} else board
    _section("waits for a person", "magenta", night.waits, partial(_waiting, ago=ago), waits, fits[0])
    _section("broke, and who noticed", "red", night.broke, partial(_broken, ago=ago), entries, fits[1])
    _section("stopped", "yellow", night.stopped, partial(_stopped, ago=ago), entries, fits[2])
    _section("who has what", "green", night.has, partial(_held, ago=ago), board, fits[3], HELD)
    _section("done", "cyan", night.done, _doer, entries, fits[4])
    if night.allowed.counts:
        roster = printed("roster", given)
        _section("allowed", "blue", night.allowed, _allowed, roster, fits[5])


# ------------------------------------------------------------------ as it changes


def _followed(seconds: float | None, options: Mapping[str, str]) -> View[dict[str, Any]]:
    """Return the report as something to follow. Only its first read counts as a look of the reader."""
    began: list[float] = []

    def read_on(room: BlockingRoom) -> dict[str, Any]:
        if seconds is None and not began:
            found = room.read("teamroom://overnight")
            began.append(time.monotonic() - seconds_between(found["since"], found["until"]))
            return found
        if not began:
            began.append(time.monotonic() - (seconds or 0.0))
        return room.read(f"teamroom://overnight/{(time.monotonic() - began[0]) / HOUR_SECONDS:.6f}")

    return View("overnight", read_on, lambda found: show(found, options), _changes)


def _changes(found: dict[str, Any]) -> Changes:
    """Return what a pipe shows of the report: each thing by its section, kind and subject."""
    night: Night = shaped(found)
    ago = partial(_ago, until=night.until)
    sections: tuple[tuple[str, Section[Any], Callable[[Any], Row]], ...] = (
        ("waits", night.waits, partial(_waiting, ago=ago)),
        ("broke", night.broke, partial(_broken, ago=ago)),
        ("stopped", night.stopped, partial(_stopped, ago=ago)),
        ("has", night.has, partial(_held, ago=ago)),
        ("done", night.done, _doer),
    )
    changes = dict[str, tuple[Any, str]]()
    for name, section, row in sections:
        for thing in section.shown:
            lasting = {"section": name, **{key: value for key, value in thing.items() if key not in PASSING}}
            key = " ".join(str(thing.get(part, "")) for part in IDENTITY)
            cells = (cell.text for cell in row(thing) if cell.text)
            changes[f"{name} {key}"] = (lasting, "  ".join((name, *cells)))
    return changes


def _is_narrow() -> bool:
    """Whether each thing takes two lines, because the terminal is narrow."""
    return is_terminal() and is_narrow(console().width)


# ------------------------------------------------------------------ the head and the sections


def _head(night: "Night") -> list[Styled]:
    """Return the span with the reader's zone, and what is in it: on one line, or two on a narrow terminal."""
    looked = ", since you last looked" if night.since_last_look else ""
    long = in_words(seconds_between(night.since, night.until))
    words = f"{_time(night.since)} to {_time(night.until)} {plain(zone())}"
    opened = night.tasks.get("open", 0)
    counts = f"{night.entries:,} entries, {opened} open task{'s' * (opened != 1)}"
    if _is_narrow():
        return [Styled(words, style="bold"), Styled(f"{long}{looked}; {counts}")]
    return [Styled((f"{words} ({long}{looked})", "bold"), f"  {counts}")]


def _pace(night: "Night") -> Styled:
    """Return the entries in each step as bars, with a gap for none."""
    most, step = max(night.pace.entries, default=0), in_words(night.pace.step_seconds)
    return Styled((f"steps of {step} ", "dim"), (bars(night.pace.entries), "cyan"), (f" at most {most:,}", "dim"))


def _section(
    title: str,
    style: str,
    section: "Section[Any]",
    row: Callable[[Any], Row],
    see: str,
    fits: int,
    layout: Layout = THINGS,
) -> None:
    """Print a heading, the things shown, as many as fit, and the number of the others."""
    total = sum(section.counts.values())
    print()
    if not total:
        print_line(Styled(f"{title}: nothing", style="dim"))
        return
    print_line(Styled(f"{title} {total:,}", style=f"bold {style}"))
    print_rows([row(thing) for thing in section.shown[:fits]], layout)
    left_out = Counter(section.left_out) + Counter(_kind_of(thing) for thing in section.shown[fits:])
    if left_out:
        rest = ", ".join(f"{count} {state_in_words(kind)}" for kind, count in left_out.items())
        more = f"and {left_out.total():,} more: {see}  ({rest})"
        print_line(Styled(more, style="dim"), is_cut=True)


def _kind_of(thing: Any) -> str:
    """The kind of a thing that does not fit."""
    return str(next((getattr(thing, name) for name in ("kind", "standing", "state") if hasattr(thing, name)), "member"))


# ------------------------------------------------------------------ one thing, in columns


def _waiting(waiting: "Waiting", ago: Ago) -> Row:
    by = f"@{plain(waiting.by)}"
    what = {
        "escalation": f"{by} has not moved it after {waiting.times} reminders",
        "decision": f"{by} asks to decide until {_time(waiting.until or waiting.since)}, {plain(waiting.command)}",
        "ask": f"{by} asks",
        "review": f"{by} completed it, and it needs a review",
        "blocked": f"blocks {by}",
        "offer": f"{by} offers it until {_time(waiting.until or waiting.since)}",
        "assigned": f"assigned by {by}, not started",
    }[waiting.kind]
    return [
        Styled(plain(waiting.subject), style="bold"),
        Styled(f"@{plain(waiting.person)}" if waiting.person else "anyone"),
        Styled(ago(waiting.since), style="dim"),
        _with_text(what, waiting.text),
    ]


def _broken(broken: "Broken", ago: Ago) -> Row:
    times = f" ({broken.times} times)" if broken.times > 1 else ""
    became = f"{plain(broken.became)}; " if broken.became else ""
    kind = state_in_words(broken.kind)
    noticed = (f"@{plain(broken.by)} noticed{times}: ", "dim")
    line = f"{became}{plain(with_local_times(broken.line))}"
    if broken.kind == "at_prompt":
        noticed, line = ("", "dim"), plain(with_span(broken.line, ago(broken.at)))
    raised = (f" raised by @{plain(broken.by)}{f'; {plain(broken.became)}' if broken.became else ''}", "dim")
    return [
        Styled(plain(broken.subject), style="bold"),
        Styled("over", style="dim") if broken.over else Styled(kind, style="red"),
        Styled(ago(broken.at), style="dim"),
        Styled(plain(broken.line), raised) if broken.kind == "alert" else Styled(noticed, line),
    ]


def _stopped(stopped: "Stopped", ago: Ago) -> Row:
    until = f" until {_time(stopped.until)}" if stopped.until else ""
    how = f"by @{plain(stopped.by)}{until}"
    if stopped.standing == "active":
        how_ended = "revived" if stopped.revived else "resumed"
        ended = f"{how_ended} by @{plain(stopped.ended_by)}" if stopped.ended_by else "expired"
        how = f"{ended}{f' {ago(stopped.ended_at)} ago' if stopped.ended_at else ''}, stopped {how}"
    return [
        Styled(plain(stopped.target), style="bold"),
        Styled(stopped.standing, style=PRESENCE.get(stopped.standing, "green")),
        Styled(ago(stopped.since), style="dim"),
        _with_text(how, stopped.reason),
    ]


def _held(held: "Held", ago: Ago) -> Row:
    words, style = STATES[held.state]
    last = held.last
    waits = f"; waits: {_waits_for(held)}" if held.waits_for else ""
    text = "" if last is None else last.text or last.evidence
    brought = "" if last is None else f"; {state_in_words(plain(last.kind))}" + (f" {quoted(text)}" if text else "")
    return [
        Styled(plain(held.task), style="bold"),
        Styled("overdue", style="bold red") if held.overdue else Styled(words, style=style),
        Styled(f"@{plain(held.holder)} ", (plain(held.presence), PRESENCE.get(held.presence, "dim"))),
        Styled("" if last is None else ago(last.at), style="dim"),
        Styled("“", Styled(quoted(held.title)[1:-1]).cut(_title_cells()), "”", waits, brought),
    ]


def _title_cells() -> int:
    return round(console().width * TITLE_SHARE) if is_terminal() else PIPED_CELLS


def _waits_for(held: "Held") -> str:
    return plain(cite_block(held.waits_for or "") if held.state == "blocked" else held.waits_for or "")


def _doer(doer: "Doer") -> Row:
    numbers = (
        ("completed", doer.completed),
        ("reviewed", doer.reviewed),
        ("handed over", doer.handed_over),
        ("took over", doer.took_over),
        ("reports", doer.reports),
    )
    did = ", ".join(f"{name} {number:,}" for name, number in numbers if number)
    newest = "; ".join(f"{plain(task.task)} {quoted(task.title)}" for task in doer.newest)
    return [Styled(f"@{plain(doer.member)}", style="bold"), Styled(did + (f": {newest}" if newest else ""))]


def _allowed(entry: "AuthorizationShown") -> Row:
    often = "" if entry.uses is None else f", used {entry.used} of {entry.uses}"
    how = f"may {cited(entry.scope)} until {_time(entry.until)}{often}, by @{plain(entry.by)}"
    return [
        Styled(plain(entry.authorization), style="bold"),
        Styled(plain(entry.to)),
        Styled(plain(entry.state), style="dim"),
        _with_text(how, entry.reason),
    ]


def _with_text(what: str, text: str) -> Styled:
    return Styled(f"{what}: {quoted(text)}" if text else what)


def _time(at: str) -> str:
    return plain(day_and_time(at))


def _ago(at: str, until: str) -> str:
    return in_words(seconds_between(at, until))
