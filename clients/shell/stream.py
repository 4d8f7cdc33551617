"""The stream and the log, one line per entry."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.blocking import BlockingRoom, ask, connected
from teamroom.clients.session.failure import UnreachableError
from teamroom.clients.session.place import Place
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.started import collect_garbage
from teamroom.clients.session.terminal import (
    Layout,
    Row,
    Styled,
    is_terminal,
    plain,
    print_hanging,
    print_json,
    print_rows,
    say,
)
from teamroom.clients.session.times import day_and_time, print_zone, with_local_times
from teamroom.clients.shell.app import After, Json, command

if TYPE_CHECKING:
    from teamroom.server.acts.receipts.receipts import Receipt, Receipts, StreamEntry

SECTION = "What happened"

FOLLOW_SECONDS = 1.0
"""How often a followed stream is read again."""

FOLDED_SECONDS = 60.0
"""How long folded notes at the end of a followed stream wait for further notes to share their line."""

Entry = dict[str, Any]


@command(SECTION)
def stream(
    place: Place,
    after: After = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="The number of entries.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow the stream until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Show the stream, one line per entry."""
    show = print_json if json else _show_entry
    if follow:
        collect_garbage()
        _follow(place, after, limit, show)
        return
    with connected(place) as room:
        page = _read(room, after, limit)
    if json:
        print_json(page)
    else:
        for entry in page["entries"]:
            show(entry)


def _read(room: BlockingRoom, after: int | None, limit: int) -> dict[str, Any]:
    """Read the newest entries of the stream, or those after a number. Raises Failure."""
    if after is None:
        newest = room.read("teamroom://stream")
        newest["entries"] = newest["entries"][-limit:]
        return newest
    entries: list[Entry] = []
    cursor = after
    while len(entries) < limit:
        page = room.read(f"teamroom://stream/{cursor}")
        if not page["entries"]:
            break
        entries += page["entries"]
        cursor = page["cursor"]
    entries = entries[:limit]
    return {"entries": entries, "cursor": entries[-1]["seq"] if entries else after}


def _follow(place: Place, after: int | None, limit: int, show: Callable[[Entry], None]) -> None:
    """Show the stream as it grows, across restarts of the room, until a signal ends it. Raises Failure."""
    cursor, is_away = after, False
    while True:
        try:
            for entries, cursor_after in _grown(place, cursor, limit):
                for entry in entries:
                    show(entry)
                print_zone()
                cursor, is_away = cursor_after, False
                time.sleep(FOLLOW_SECONDS)
        except UnreachableError as failure:
            if cursor is None:
                raise
            if not is_away:
                say(f"teamroom: {failure.why} Waiting until it answers.")
            is_away = True
            time.sleep(FOLLOW_SECONDS)


def _grown(place: Place, cursor: int | None, limit: int) -> Iterator[tuple[list[Entry], int]]:
    """Yield the new entries at each look, and the cursor for the next. Raises Failure."""
    waited = 0.0
    with connected(place) as room:
        while True:
            page = _read(room, cursor, limit)
            entries = page["entries"] if waited >= FOLDED_SECONDS else _complete(page["entries"])
            waited = waited + FOLLOW_SECONDS if len(entries) < len(page["entries"]) else 0.0
            cursor = _next_cursor(entries, page)
            yield entries, cursor


def _complete(entries: list[Entry]) -> list[Entry]:
    """Return the entries without folded notes at the end, as further notes may join those."""
    return entries[:-1] if entries and entries[-1]["folded"] else entries


def _next_cursor(shown: list[Entry], page: dict[str, Any]) -> int:
    """Return the cursor after the entries of a page that were shown."""
    if shown:
        return int(shown[-1]["seq"])
    return int(page["entries"][0]["previous"] if page["entries"] else page["cursor"])


def _show_entry(entry: Entry) -> None:
    found: StreamEntry = shaped(entry)
    if is_terminal():
        at = plain(day_and_time(found.at))
        print_hanging(Styled(f"{found.seq:>6} {at}", style="dim"), Styled(plain(with_local_times(found.line))))
    else:
        print(f"{found.seq}  {plain(found.at)}  {plain(found.line)}", flush=True)


# ------------------------------------------------------------------ receipts

RECEIPTS = Layout(whole=(0, 1, 4), first=(0, 1, 4, 2))
"""Number, time, act, subject, outcome and summary: numbers, times and outcomes are never cut."""


@command(SECTION)
def receipts(
    place: Place,
    after: After = None,
    actor: Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Show only acts of this member.")] = None,
    act: Annotated[str | None, typer.Option("--act", metavar="ACT", help="Show only this act, such as pause.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="ID", help="Show only acts on this subject, such as T-12.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100, help="The number of entries.")] = 20,
    json: Json = False,
) -> None:
    """Show the receipts in the log: actor, act, subject and outcome."""
    reply = ask(place, "read_receipts", after=after, actor=actor, act=act, subject=subject, limit=limit)
    if json:
        print_json(reply)
        return
    found: Receipts = shaped(reply)
    print_rows([_row(entry) for entry in found.receipts], RECEIPTS)


def _row(entry: "Receipt") -> Row:
    """Return an entry of the log as a row. Refused acts are red."""
    return [
        Styled(str(entry.seq), style="dim"),
        Styled(plain(day_and_time(entry.at) if is_terminal() else entry.at), style="dim"),
        Styled(plain(entry.act)),
        Styled(plain(entry.subject)),
        Styled(plain(entry.outcome), style="green" if entry.outcome == "ok" else "red"),
        Styled(plain(with_local_times(entry.summary)) or "(content redacted)"),
    ]
