"""How the room looks in a terminal, and as plain aligned lines in a pipe."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from teamroom.clients.session.place import OWNER_TOKEN, Place
from teamroom.clients.session.terminal import (
    aligned,
    console,
    grid,
    plain,
    plain_lines,
    print_hanging,
    print_json,
    span,
    until,
)
from teamroom.clients.shell.show_reach import capability
from teamroom.server.acts.control.control import Controlled
from teamroom.server.acts.members.members import Enrolled, Revoked
from teamroom.server.acts.members.roster import MemberShown, Roster
from teamroom.server.acts.receipts.receipts import Receipt, Receipts, StreamEntry
from teamroom.server.acts.tasks.board import Board, TaskLine, TaskShown
from teamroom.server.rules.text import state_in_words

SECTIONS = {
    "blocked": ("blocked", "red"),
    "offered": ("offered", "magenta"),
    "in_review": ("in review", "cyan"),
    "claimed": ("claimed", "green"),
    "open": ("open", "yellow"),
    "done": ("done", "dim"),
    "cancelled": ("cancelled", "dim"),
}
"""States in the order in which a person needs to see them, with their words and colours."""

PRESENCE = {
    "live": "green",
    "working": "green",
    "overdue": "yellow",
    "suspect": "yellow",
    "zombie": "red",
    "gone": "red",
    "paused": "magenta",
    "killed": "red",
}

BAR_CELLS = 12


# ------------------------------------------------------------------ the room and its members


def opened(url: str, place: Place, new_owner: str | None, as_json: bool) -> None:
    """The room is open: say where, and how to join. Never a token."""
    token_file = place.folder / OWNER_TOKEN
    if as_json:
        found = {"url": url, "mcp": f"{url}/mcp", "data": str(place.folder), "owner_token_file": str(token_file)}
        print_json({**found, "new_owner": new_owner})
        return
    here = f" --data {place.folder}" if place.names_folder else ""
    made = f"This run made the room; its owner is @{new_owner}.\n" if new_owner else ""
    print(
        f"""The room is open at {url}
{made}The owner's token lies in {token_file}; only your user can read it.

Bring an agent in, and give it its token, which is shown once:
  teamroom enroll builder{here}
  export TEAMROOM_TOKEN=…

Then join from its harness:
{how_to_join(f"{url}/mcp", "builder", here)}

See the board:
  teamroom board{here}

Ctrl-C closes the room.""",
        flush=True,
    )


def how_to_join(mcp: str, name: str, here: str) -> str:
    """A line for each kind of client; each reads the token from TEAMROOM_TOKEN but the last."""
    header = "'Authorization: Bearer ${TEAMROOM_TOKEN}'"
    return f"""  Claude Code  claude mcp add -s user -t http teamroom {mcp} -H {header}
  Codex        codex mcp add teamroom --url {mcp} --bearer-token-env-var TEAMROOM_TOKEN
  any other    {mcp} with the header Authorization: Bearer $TEAMROOM_TOKEN
  over stdio   teamroom connect --as {name}{here}   (after: teamroom enroll {name} --save{here})"""


def enrolled(reply: dict[str, Any], file: Path | None, place: Place, as_json: bool) -> None:
    """A member's token, this once, or where it is kept; and how it joins."""
    if as_json:
        print_json(reply)
        return
    member = Enrolled.model_validate({key: value for key, value in reply.items() if key in Enrolled.model_fields})
    here = f" --data {place.folder}" if place.names_folder else ""
    if file is not None:
        print(f"@{plain(member.name)} may join. Its token is kept in {file}; only your user can read it.")
        print(f"It joins with: teamroom connect --as {plain(member.name)}{here}")
        return
    if member.token is None:
        print(f"@{plain(member.name)} was enrolled before; its token was shown once, then. For a new one: --rotate")
        return
    print(f"@{plain(member.name)} may join. Its token is shown this once:\n")
    print(f"  export TEAMROOM_TOKEN={plain(member.token)}\n")
    print("Then join from its harness:")
    print(how_to_join(plain(member.url), plain(member.name), here))


def revoked(reply: dict[str, Any], as_json: bool) -> None:
    """How many tokens ended."""
    if as_json:
        print_json(reply)
        return
    done = Revoked.model_validate(reply)
    print(f"{done.tokens} token{'s' if done.tokens != 1 else ''} of @{plain(done.name)} revoked.")


def controlled(reply: dict[str, Any], as_json: bool) -> None:
    """What stands after the switch was used."""
    if as_json:
        print_json(reply)
        return
    done = Controlled.model_validate(reply)
    until_when = f" until {plain(done.until)}" if done.until else ""
    note = f" ({plain(done.note)})" if done.note else ""
    receipt = f" Receipt {done.receipt}." if done.receipt is not None else ""
    print(f"{plain(done.target)} is {done.standing}{until_when}{note}.{receipt}")


# ------------------------------------------------------------------ the board


def board(reply: dict[str, Any], presence: Mapping[str, str], as_json: bool) -> None:
    """The board by state, one line a task, or one task in full."""
    if as_json:
        print_json(reply)
        return
    found = Board.model_validate(reply)
    if found.task is not None:
        task_in_full(found.task, presence)
        return
    out = console()
    if not out.is_terminal:
        for line in aligned([_cells(task, presence) for task in found.tasks]):
            print(line)
    else:
        out.print(_counts(found.tasks))
        rows = [_row(task, presence) for task in found.tasks]
        for state, (words, style) in SECTIONS.items():
            section = [row for task, row in zip(found.tasks, rows, strict=True) if task.state == state]
            if section:
                out.print()
                out.print(Text(f"{words} {len(section)}", style=f"bold {style}"))
                out.print(grid(section, out, free=1, like=rows))
    if not found.tasks and out.is_terminal:
        out.print("Nothing is on the board. An agent or you put work there with create_task.")
    if found.next:
        print(f"More tasks follow {plain(found.next)}: narrow it with --state or --query.")


def _counts(tasks: list[TaskLine]) -> Text:
    """How many tasks are in each state, as bars."""
    counts = Counter(task.state for task in tasks)
    most = max(counts.values(), default=0)
    text = Text()
    for state, (words, style) in SECTIONS.items():
        if counts[state]:
            cells = max(1, round(BAR_CELLS * counts[state] / max(most, BAR_CELLS)))
            text.append(f"{words} ", style="dim").append("▇" * cells, style=style).append(f" {counts[state]}   ")
    overdue = sum(task.overdue for task in tasks)
    return text.append(f"overdue {overdue}", style="bold red") if overdue else text


def _row(task: TaskLine, presence: Mapping[str, str]) -> list[Text]:
    mark = f"↑{task.priority} " if task.priority > 0 else ""
    return [
        Text(plain(task.task), style="bold"),
        Text.assemble((mark, "bold"), plain(task.title)),
        _holder(task, presence),
        Text(_state_of_lease(task), style="bold red" if task.overdue else "dim"),
    ]


def _cells(task: TaskLine, presence: Mapping[str, str]) -> list[str]:
    holder = _holder(task, presence).plain or "-"
    return [
        plain(task.task),
        state_in_words(plain(task.state)),
        holder,
        _state_of_lease(task) or "-",
        plain(task.title),
    ]


def _holder(task: TaskLine, presence: Mapping[str, str]) -> Text:
    if task.holder is None:
        return Text()
    verdict = presence.get(task.holder, "")
    hint = (f" {plain(verdict)}", PRESENCE.get(verdict, "dim")) if verdict else ""
    return Text.assemble(f"@{plain(task.holder)}", hint)


def _state_of_lease(task: TaskLine) -> str:
    if task.waiting_for:
        return f"waits: {plain(task.waiting_for)}"
    if task.overdue:
        return "overdue"
    return f"{until(task.lease_until)} left" if task.lease_until and task.state == "claimed" else ""


def task_in_full(task: TaskShown, presence: Mapping[str, str]) -> None:
    """One task: what it is, who has it, what happened to it."""
    out = console()
    words, style = SECTIONS.get(task.state, (task.state, "dim"))
    print_hanging(out, Text(plain(task.task), style="bold"), Text(plain(task.title), style="bold"))
    facts = [
        ("state", Text.assemble((words, style), (" overdue" if task.overdue else "", "bold red"))),
        ("holder", _holder(task, presence)),
        ("lease until", Text(plain(task.lease_until or ""))),
        ("waits for", Text(plain(task.waiting_for or ""))),
        ("assigned", Text(plain(task.assigned or ""))),
        ("created", Text(f"{plain(task.created_at)} by @{plain(task.creator)}")),
        ("due", Text(plain(task.due or ""))),
        ("needs", Text(plain(", ".join(task.needs)))),
        ("depends on", Text(plain(", ".join(f"{d['task']} ({state_in_words(d['state'])})" for d in task.depends_on)))),
        ("completed by", Text(plain(f"{task.completed_by} ({task.upheld} upheld)" if task.completed_by else ""))),
        ("reviewer", Text(plain(task.reviewer or ""))),
        ("summary", Text(plain(task.summary))),
        *(("evidence", Text(_evidence(item))) for item in task.evidence),
        *(("reminder", Text(plain(slot.line()))) for slot in task.reminders),
    ]
    for name, value in facts:
        if value.plain:
            print_hanging(out, Text(f"  {name:<12}", style="dim"), value)
    if task.detail:
        out.print()
        for line in plain_lines(task.detail):
            out.print(Text(f"  {line}"))
    out.print()
    for entry in task.history:
        what = f"@{plain(entry.member)} {state_in_words(plain(entry.kind))}" + (
            f": {plain(entry.text)}" if entry.text else ""
        )
        print_hanging(out, Text(f"  {_day_and_time(entry.at)}", style="dim"), Text(what))


def _evidence(item: dict[str, Any]) -> str:
    check = f"; check: {item['check']}" if item.get("check") else ""
    return plain(f"{item.get('kind')} {item.get('ref')}{check}")


# ------------------------------------------------------------------ who, and what happened


def roster(reply: dict[str, Any], as_json: bool) -> None:
    """Who is in the room, one line each."""
    if as_json:
        print_json(reply)
        return
    found = Roster.model_validate(reply)
    out = console()
    if not out.is_terminal:
        for line in aligned([[cell.plain or "-" for cell in _member(member)] for member in found.members]):
            print(line)
    elif found.members:
        out.print(grid([_member(member) for member in found.members], out, free=4))
    if found.next:
        print(f"More members follow @{plain(found.next)}.")


def _member(member: MemberShown) -> list[Text]:
    upheld = f"; {member.completions_upheld} of {member.completions_reviewed} upheld"
    can = "".join(f"; {capability(c)}" for c in member.capabilities)
    answers = "" if member.expected_seconds is None else f"; answers in {span(member.expected_seconds)} or so"
    return [
        Text(f"@{plain(member.name)}", style="bold"),
        Text(plain(member.role if member.kind == "human" else f"{member.role} of @{member.owner}"), style="dim"),
        Text(plain(member.mode)),
        Text(plain(member.presence), style=PRESENCE.get(member.presence, "dim")),
        Text(f"{plain(member.reason)}{answers}" + (upheld if member.completions_reviewed else "") + can, style="dim"),
    ]


def stream(reply: dict[str, Any], as_json: bool) -> None:
    """A page of the stream, one line an entry."""
    if as_json:
        print_json(reply)
        return
    for entry in reply["entries"]:
        stream_entry(entry, as_json=False)


def stream_entry(entry: dict[str, Any], as_json: bool) -> None:
    """One entry of the stream on one line."""
    if as_json:
        print_json(entry)
        return
    found = StreamEntry.model_validate(entry)
    out = console()
    if not out.is_terminal:
        print(f"{found.seq}  {plain(found.at)}  {plain(found.line)}", flush=True)
        return
    print_hanging(out, Text(f"{found.seq:>6} {_day_and_time(found.at)}", style="dim"), Text(plain(found.line)))


def receipts(reply: dict[str, Any], as_json: bool) -> None:
    """Entries of the log, one line each; refused ones stand out."""
    if as_json:
        print_json(reply)
        return
    found = Receipts.model_validate(reply)
    out = console()
    if not out.is_terminal:
        for line in aligned([[cell.plain or "-" for cell in _receipt(entry, entry.at)] for entry in found.receipts]):
            print(line)
    elif found.receipts:
        out.print(grid([_receipt(entry, _day_and_time(entry.at)) for entry in found.receipts], out, free=5))


def _receipt(entry: Receipt, at: str) -> list[Text]:
    refused = entry.outcome != "ok"
    return [
        Text(str(entry.seq), style="dim"),
        Text(plain(at), style="dim"),
        Text(plain(entry.act)),
        Text(plain(entry.subject)),
        Text(plain(entry.outcome), style="red" if refused else "green"),
        Text(plain(entry.summary) or "(content taken away)"),
    ]


def _day_and_time(at: str) -> str:
    """A time of the room's replies as a terminal has room for it: month, day, hour and minute, in UTC."""
    return plain(at[5:16]).replace("T", " ")
