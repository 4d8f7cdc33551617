"""Repairs: tasks to restart a runtime, at most one per runtime, which its watchdogs claim like other tasks."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from teamroom.server.acts.act import Act, Arguments, Line, Name, Reply, author
from teamroom.server.facts.capability import require_capabilities
from teamroom.server.facts.ended import describe_end, is_ended, reachable
from teamroom.server.facts.ids import number_of, task_name
from teamroom.server.facts.member import find_member
from teamroom.server.facts.names import former_names
from teamroom.server.facts.roles import STOPPERS
from teamroom.server.facts.standing import state_of
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER, StoredTask, add_entry, task_changed
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.record.chain import Author
from teamroom.server.record.texts import text_digest
from teamroom.server.refusals import Refusal
from teamroom.server.rules.text import add_quote, cite, one_line
from teamroom.server.store.rows.members import MemberFacts, MemberName
from teamroom.server.store.rows.repairs import LostRepair, RepairedMember, RepairRow
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading, Writing

REPAIRS_LOOKED_AT = 100
"""How many open repairs are examined when a watchdog has ended."""

WATCHDOGS_WOKEN = 5
"""How many watchdogs one repair wakes."""

TRIES_SHOWN = 20
TRIES_SECONDS = 86_400.0
"""How many restarts of a runtime are shown, and of how long ago at most."""

PRIORITY = 50


class Repair(Arguments):
    """Arguments of `repair`. Without `found` it only reads."""

    name: Name
    found: Line | None = None


class Repaired(Reply):
    """Reply of `repair`: the runtime's repair that is not finished, if there is one.

    `released`: its holder gave it up, so it waits for a person.
    `ordered`: a person asked for it, and it was not given up since. The runtime is then restarted even if it looks
    healthy or was restarted often.
    `tried_seconds_ago`: how long ago each restart of this runtime was noted, the newest first.
    `given_up_seconds_ago`: how long ago a repair of it was last given up.
    """

    name: str
    task: str | None = None
    state: str | None = None
    holder: str | None = None
    released: bool = False
    ordered: bool = False
    tried_seconds_ago: list[float] = Field(default_factory=list)
    given_up_seconds_ago: float | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A repair to request: the member, the title, and who requests it."""

    member: int
    name: str
    title: str
    by: Author


def repair(tx: Writing, caller: Caller, arguments: Repair) -> Repaired:
    """Return the unfinished repair of a runtime; with `found`, request one if there is none.

    A watchdog requests repairs of the runtimes that it reaches. A person can also order a repair that was given up.
    Raises Refusal.
    """
    member = find_member(tx, arguments.name)
    name = str(member.name)
    seq = None
    row = _unfinished(tx, member.id)
    if arguments.found is not None and row is None:
        _check_wanted(tx, caller, member)
        wanted = Wanted(member.id, name, one_line(f"Repair @{name}: {arguments.found}"), author(caller))
        seq = _ask(tx, wanted)
    elif arguments.found is not None and row is not None and _may_order(caller, row):
        _check_wanted(tx, caller, member)
        seq = _order(tx, caller, member, row.task, arguments.found)
    row = _unfinished(tx, member.id)
    earlier = {
        "tried_seconds_ago": _ages(tx, "working", member.id, TRIES_SHOWN),
        "given_up_seconds_ago": next(iter(_ages(tx, "released", member.id, 1)), None),
    }
    if row is None:
        return Repaired(receipt=seq, name=name, **earlier)
    return Repaired(
        receipt=seq,
        name=name,
        task=task_name(row.task),
        state=row.state,
        holder=row.holder,
        released=_is_given_up(row),
        ordered=_is_ordered(row),
        **earlier,
    )


def request_repair(tx: Writing, member: int, name: str, verdict: str, reason: str) -> None:
    """Request a repair as the room, if a watchdog reaches the runtime and no repair is unfinished."""
    if _unfinished(tx, member) is None and _watchdogs(tx, member, name):
        title = one_line(f"Repair @{name}, which is {verdict}: {reason}")
        _ask(tx, Wanted(member, name, title, ROOM_AUTHOR))


def cancel_repair(tx: Writing, member: int, why: str, seq: int, states: Sequence[str] = ("open",)) -> None:
    """Cancel a repair in one of these states: the member recovered, or was killed."""
    row = _unfinished(tx, member)
    if row is not None and row.state in states:
        task_changed(tx, row.task, tx.only(TaskRow, "task", id=row.task).holder)
        tx.run("free_task", id=row.task, state="cancelled", seq=seq)
        add_entry(tx, row.task, ROOM_AUTHOR, "cancelled", why)


def give_back_repairs(tx: Writing, watchdog: int, why: str) -> None:
    """Reopen the repairs that a watchdog holds and will not finish, and wake the other watchdogs."""
    for row in tx.all(RepairedMember, "repairs_held", holder=watchdog):
        _give_back(tx, row, watchdog, why)


def give_back_freed_repairs(tx: Writing, tasks: Sequence[str], watchdog: int, why: str) -> None:
    """Reopen the repairs among the tasks that a kill released, and wake the other watchdogs."""
    for task in tasks:
        row = tx.one(RepairedMember, "repaired_member", task=number_of(task))
        if row is not None:
            _give_back(tx, row, watchdog, why)


def tell_of_lost_repairs(tx: Writing, watchdog: int, why: str) -> None:
    """Tell the owners of runtimes whose open repairs no watchdog can carry out now."""
    for row in tx.all(LostRepair, "repairs_reached_by", watchdog=watchdog, limit=REPAIRS_LOOKED_AT):
        if not _watchdogs(tx, row.member, row.name):
            _tell_owner(tx, row.member, row.name, task_name(row.task), why)


def require_repairer(caller: Caller, task: StoredTask) -> None:
    """Refuse a repair to members: one that only declares the runtime would block the repair."""
    if task.row.is_repair and caller.role not in STOPPERS:
        raise Refusal(
            "not_allowed",
            f"{task.name} is a repair; only watchdogs, operators and room owners can claim it.",
            "Claim another: claim_task without a task.",
            subject=task.name,
        )


def _give_back(tx: Writing, row: RepairedMember, watchdog: int, why: str) -> None:
    """Reopen a repair for other watchdogs, or cancel it if its member was killed meanwhile."""
    task, is_over = task_name(row.task), row.standing == "killed"
    state, what = ("cancelled", "cancelled") if is_over else ("open", "open again")
    repaired = f"@{row.name}, which was killed" if is_over else f"@{row.name}"
    line = one_line(f"{task}, the repair of {repaired}, is {what}, because {why}")
    seq = log.append(tx, ROOM_AUTHOR, act="repair", subject=f"@{row.name}", summary=line, detail={"task": task})
    tx.run("free_task", id=row.task, state=state, seq=seq)
    task_changed(tx, row.task, watchdog)
    add_entry(tx, row.task, ROOM_AUTHOR, "cancelled" if is_over else "freed", why)
    if not is_over and (watchdogs := _watchdogs(tx, row.member, row.name)):
        _wake(tx, watchdogs, watchdog, task, line, ROOM_MEMBER)
    elif not is_over:
        _tell_owner(tx, row.member, row.name, task, why)


def _tell_owner(tx: Writing, member: int, name: str, task: str, why: str) -> None:
    """Wake the person who answers for a runtime that no watchdog can repair."""
    person = reachable(tx, tx.only(MemberName, "member_by_id", id=member).owner)
    line = one_line(f"No watchdog can carry out {task}, the repair of @{name}, because {why}: restart it yourself")
    wake_members(tx, [] if person is None else [person], reason="alert", subject=task, sender=ROOM_MEMBER, line=line)


def _unfinished(tx: Reading, member: int) -> RepairRow | None:
    row = tx.one(RepairRow, "repair_of", member=member)
    return None if row is None or row.state in ("done", "cancelled") else row


def _is_given_up(row: RepairRow) -> bool:
    """Whether the holder of a repair gave it up, and no person ordered it since."""
    return (row.released_seq or 0) > (row.ordered_seq or 0)


def _is_ordered(row: RepairRow) -> bool:
    return not _is_given_up(row) and (row.asked_by == "human" or row.ordered_seq is not None)


def _ages(tx: Reading, kind: str, member: int, limit: int) -> list[float]:
    """How long ago the newest notes of a kind were made on a member's repairs."""
    noted = tx.column(float, "repair_notes", member=member, kind=kind, since=tx.now - TRIES_SECONDS, limit=limit)
    return [round(max(tx.now - at, 0.0), 1) for at in noted]


def _watchdogs(tx: Reading, member: int, name: str) -> list[int]:
    """The watchdogs that reach a member's runtime."""
    return _reaching(tx, _runtime(tx, member, name))


def _runtime(tx: Reading, member: int, name: str) -> str:
    """A member's runtime as watchdogs declare it. Their files may still have a former name of the member."""
    runtimes = [f"runtime:{one}" for one in (name, *former_names(tx, member))]
    return next((runtime for runtime in runtimes if _reaching(tx, runtime)), runtimes[0])


def _reaching(tx: Reading, runtime: str) -> list[int]:
    return tx.column(int, "watchdogs", capability=runtime, now=tx.now, limit=WATCHDOGS_WOKEN)


def _may_order(caller: Caller, row: RepairRow) -> bool:
    """Whether the caller can order an existing repair: a person can, if it is open and not ordered yet."""
    return caller.kind == "human" and row.state == "open" and not _is_ordered(row)


def _check_wanted(tx: Reading, caller: Caller, member: MemberFacts) -> None:
    name, subject = member.name, f"@{member.name}"
    if member.kind != "agent":
        raise Refusal(
            "invalid",
            f"{subject} is a person; only runtimes are repaired.",
            "Call who to see the agents, then name one.",
        )
    if caller.role == "watchdog":
        require_capabilities(tx, caller.member, caller.name, [_runtime(tx, member.id, name)], subject)
    standing = state_of(member, tx.now)
    if standing == "active" and is_ended(tx, member):
        raise Refusal(
            "conflict",
            f"{subject} {describe_end(tx, member)}, so its runtime is not repaired.",
            f"Give it a new token first: teamroom enroll {name} --rotate",
        )
    if standing != "active":
        revive = f"Revive it first: teamroom enroll {name} --revive"
        fix = "Call again once it is resumed." if standing == "paused" else revive
        raise Refusal("conflict", f"{subject} is {standing}, so its runtime is not repaired.", fix)
    if not _watchdogs(tx, member.id, name):
        reaches = cite(f"runtime:{name}")
        raise Refusal(
            "conflict",
            f"No watchdog reaches {reaches}.",
            f"List {name} in a watchdog's runtimes.toml and run `teamroom watch`.",
            subject=subject,
        )


def _ask(tx: Writing, wanted: Wanted) -> int:
    """Create the repair as a task, and wake the watchdogs of the runtime; returns the log entry's number."""
    tx.head.tasks += 1
    id_, name = tx.head.tasks, task_name(tx.head.tasks)
    detail = f"Restart the runtime of @{wanted.name}, wait until it acts again, and complete this with what you saw."
    seq = log.append(
        tx,
        wanted.by,
        act="repair",
        subject=f"@{wanted.name}",
        summary=add_quote(name, wanted.title),
        detail={"task": name, "title": wanted.title, "text": text_digest(detail)},
    )
    tx.run(
        "add_task",
        id=id_,
        title=wanted.title,
        detail=detail,
        priority=PRIORITY,
        due=None,
        creator=wanted.by.member,
        now=tx.now,
        seq=seq,
        assigned=None,
        review="none",
        requires="",
    )
    task_changed(tx, id_)
    tx.run("add_repair", task=id_, member=wanted.member)
    tx.run("add_need", task=id_, need=_runtime(tx, wanted.member, wanted.name))
    add_entry(tx, id_, wanted.by, "created", wanted.title)
    watchdogs = _watchdogs(tx, wanted.member, wanted.name)
    _wake(tx, watchdogs, wanted.by.member, name, wanted.title, wanted.by.member)
    return seq


def _order(tx: Writing, caller: Caller, member: MemberFacts, id_: int, found: str) -> int:
    """Order an existing repair, and wake the watchdogs of the runtime; returns the log entry's number."""
    task, name = task_name(id_), member.name
    line = add_quote(f"{task}, the repair of @{name}, was ordered", found)
    by, detail = author(caller), {"task": task, "text": text_digest(found)}
    seq = log.append(tx, by, act="repair", subject=f"@{name}", summary=line, detail=detail)
    add_entry(tx, id_, caller, "ordered", found)
    _wake(tx, _watchdogs(tx, member.id, name), caller.member, task, line, caller.member)
    return seq


def _wake(tx: Writing, watchdogs: Sequence[int], but: int, task: str, line: str, sender: int) -> None:
    others = [dog for dog in watchdogs if dog != but]
    wake_members(tx, others, reason="repair", subject=task, sender=sender, line=line)


REPAIR = Act("repair", Repair, Repaired, repair, roles=STOPPERS)
