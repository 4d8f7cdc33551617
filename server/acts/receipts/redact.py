"""Redacts the content of one thing, or of all that is old enough. The chain still verifies.

`store/words.py` lists every column that can hold members' words, with the statements that remove them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field

from teamroom.server import topics
from teamroom.server.acts.act import Act, Arguments, Line, Reply, Seq, Words, author
from teamroom.server.facts.authorization import authorization_changed, state_of_entry
from teamroom.server.facts.decision import decision_changed
from teamroom.server.facts.ids import (
    Kind,
    authorization_name,
    decision_name,
    message_name,
    offer_name,
    parse,
    spell,
    task_name,
)
from teamroom.server.facts.member import find_member, member_changed
from teamroom.server.facts.origin import hide_origin
from teamroom.server.facts.reach import forget_old_tools, hide_tool
from teamroom.server.facts.roles import ROOM_OWNERS
from teamroom.server.facts.runtimes import forget_old_runtimes, hide_runtimes
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER, task_changed
from teamroom.server.facts.timers import DECISION_END, Timer, cancel_timer, find_timer, postpone, schedule
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.record.rebuild import kept_digest
from teamroom.server.record.rows import KEPT, what_stays
from teamroom.server.record.texts import text_digest
from teamroom.server.refusals import Refusal, not_found
from teamroom.server.rules.text import REDACTED, add_quote, cite
from teamroom.server.store.rows.authorizations import AuthorizationRow
from teamroom.server.store.rows.decisions import DecisionRow
from teamroom.server.store.rows.hand_offs import OfferRow
from teamroom.server.store.rows.log import ReceiptRow
from teamroom.server.store.rows.members import MemberName, MemberRow
from teamroom.server.store.rows.messages import MessageRow
from teamroom.server.store.rows.rebuild import KeptPart
from teamroom.server.store.rows.redact import EntryRow, PageEntry, RememberedReply
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading, Writing
from teamroom.server.store.words import REPLIES, SAID_AGAIN, hidden_key

LOOKED_AT = 300
"""How many entries of the log one call examines."""

PAGE, PAGE_CHARACTERS = 100, 60_000
"""How many entries, and texts of how many characters, one transaction redacts: each word leaves the index of words."""

OFFERS = 20

FORGET_CLAIMS, REDACTING = "forget_claims", "redact"
"""The rules of the timers of what a redaction leaves for later pages: remembered claims, and entries about a thing."""

OF_MEMBER = f"{REDACTING} member"
"""The rule of the timer for entries that tell what the runtimes of a member reported."""

AT_PROMPT = "%at a prompt%"
"""How an entry is known that tells for which tool a harness waited."""

NAMES: Mapping[str, Callable[[int], str]] = {
    f"{REDACTING} task": task_name,
    f"{REDACTING} message": message_name,
    f"{REDACTING} offer": offer_name,
    f"{REDACTING} decision": decision_name,
    f"{REDACTING} authorization": authorization_name,
}
"""How the subject of each timer of a redaction is written."""

ROWS: dict[Kind, type[Any]] = {
    "message": MessageRow,
    "task": TaskRow,
    "offer": OfferRow,
    "decision": DecisionRow,
    "authorization": AuthorizationRow,
}
"""The row type of each kind of thing."""

STATEMENTS: Mapping[Kind, str] = {"authorization": "authorisation"}
"""The statement that reads a thing, where it does not have the name of its kind."""

LASTING: frozenset[str] = frozenset(
    {
        *("open", "enroll", "revoke", "pause", "resume", "kill", "set_policy", "restore", "redact", "plant", "recover"),
        "require_approval",
    }
)
"""Acts that a redaction by age leaves: control acts and their reasons, rules, members, tokens, and plants."""


def _spell(what: str) -> str:
    """An id as the room prints it. `#3` stays as it is, because it may be a task or an entry."""
    return what if what.startswith("#") else spell(what)


THING = Field(
    min_length=1,
    description="M-7, T-3, O-2, D-4, the number of an entry, or @NAME for what that member's runtimes report",
)


class Redact(Arguments):
    """Arguments of `redact`: one thing, or an age; with an age, `after` continues where the last call ended."""

    what: Annotated[Words, THING, AfterValidator(_spell)] | None = None
    older_than_seconds: Annotated[float, Field(ge=3600, le=3_200_000_000)] | None = None
    after: Seq | None = None
    reason: Line


class Redacted(Reply):
    """Reply of `redact`: how many entries lost their content. With an age, the `after` of the next call, if any.

    `reports`: how many reports of runtimes did, with a member. `more`: the room redacts further entries about the thing
    now, page by page.
    """

    what: str
    entries: int
    reports: int = 0
    more: bool = False
    after: int | None = None


def redact(tx: Writing, caller: Caller, arguments: Redact) -> Redacted:
    """Redact the content of one thing, or all content before a time. Headers, numbers and hashes stay.

    Raises Refusal.
    """
    if (arguments.what is None) == (arguments.older_than_seconds is None):
        raise Refusal(
            "invalid", "The call needs either what or older_than_seconds.", "Give one of them, such as what M-7."
        )
    reports, subject = 0, arguments.what or ""
    if subject.startswith("@"):
        member = find_member(tx, subject.removeprefix("@"))
        subject, following = f"@{member.name}", None
        reports = hide_runtimes(tx, member.id) + hide_tool(tx, member.id)
        redacted = redact_subject(tx, subject)
        what = f"what runtimes of {subject} report"
    elif arguments.what is not None:
        redacted, following = _redact_one(tx, arguments.what), None
        what = arguments.what
    else:
        age = arguments.older_than_seconds or 0.0
        page = redact_old(tx, tx.now - age, arguments.after or 0)
        redacted, following = page.redacted, None if page.is_over else page.examined
        what = f"what is older than {age / 86_400:g} d"
    if following is None and (redacted or reports or arguments.after):
        redact_replies_now(tx)
        tx.effects.scrub = True
    if not redacted and not reports:
        return Redacted(what=what, entries=0, after=following)
    seq = log.append(
        tx,
        author(caller),
        act="redact",
        subject=subject,
        summary=add_quote(f"@{caller.name} redacted {what}", arguments.reason),
        detail={"entries": redacted, "reason": arguments.reason, **what_was_kept(tx)},
    )
    return Redacted(
        receipt=seq,
        what=what,
        entries=len(redacted),
        reports=reports,
        more=_is_going_on(tx, subject),
        after=following,
    )


def _redact_one(tx: Writing, what: str) -> list[int]:
    if what.isascii() and what.isdigit():
        entries = tx.all(EntryRow, "entry_with_content", seq=min(int(what), 2**53 - 1))
        if not entries and tx.one(ReceiptRow, "receipt", seq=min(int(what), 2**53 - 1)) is None:
            raise not_found("entry", what, "Call read_receipts to see the numbers of entries.")
        for entry in entries:
            _redact_what_it_set(tx, entry)
        return _redact_entries(tx, entries)
    if (found := parse(what)) is None:
        raise Refusal(
            "invalid",
            f"{cite(what)} is not something that can be redacted.",
            "Give M-7, T-3, O-2, D-4, A-5, an entry's number, or @NAME for what that member's runtimes report.",
        )
    kind, number = found
    if tx.one(ROWS[kind], STATEMENTS.get(kind, kind), id=number) is None:
        raise not_found(kind, what, "Call read_messages or read_board to see the ids.")
    redacted = redact_subject(tx, what)
    if kind == "task":
        redacted += _redact_entries(tx, tx.all(EntryRow, "repair_entries", task=number, limit=PAGE))
        tx.run("take_task", id=number, taken=REDACTED, requires=HIDDEN)
        hide_origin(tx, number)
        tx.run("take_needs", task=number, taken=REDACTED)
        tx.run("drop_redacted_needs", task=number, taken=REDACTED)
        task_changed(tx, number, tx.only(TaskRow, "task", id=number).holder)
        for offer in tx.column(int, "offers_of_task", task=number, limit=OFFERS):
            tx.run("take_offer", id=offer, needs=HIDDEN)
            redacted += redact_subject(tx, offer_name(offer))
        for decision in tx.column(int, "decisions_about", task=number, limit=OFFERS):
            _take_decision(tx, decision)
            redacted += redact_subject(tx, decision_name(decision))
    elif kind == "offer":
        tx.run("take_offer", id=number, needs=HIDDEN)
    elif kind == "decision":
        _take_decision(tx, number)
    elif kind == "authorization":
        _take_authorization(tx, number)
    return redacted


def _take_authorization(tx: Writing, number: int) -> None:
    """Remove the words of an authorisation, which allows nothing then."""
    row = tx.only(AuthorizationRow, "authorisation", id=number)
    tx.run("take_authorisation", id=number, taken=REDACTED, now=tx.now, seq=tx.head.seq + 1)
    authorization_changed(tx, row)


def _take_decision(tx: Writing, number: int) -> None:
    """Remove the words of a decision. An open one is withdrawn; its timer settles at once what waits for it."""
    row = tx.only(DecisionRow, "decision", id=number)
    tx.run("take_decision", id=number, taken=REDACTED, now=tx.now, seq=tx.head.seq + 1)
    tx.run("take_approval", decision=number, now=tx.now)
    decision_changed(tx, row)
    if row.state == "open":
        schedule(tx, DECISION_END, number, ROOM_MEMBER, 0)


def redact_subject(
    tx: Writing, subject: str, upto: int | None = None, leaves: frozenset[str] = frozenset()
) -> list[int]:
    """Redact the first entries about something; a duty redacts the others, each page in a transaction of its own.

    `upto`: the last entry, None for all. `leaves`: acts whose entries stay.
    """
    upto = tx.head.seq if upto is None else upto
    redacted, is_over = _redact_page(tx, subject, 0, upto, leaves)
    if not is_over and (going := _duty_of(tx, subject)) is not None:
        schedule(tx, *going, ROOM_MEMBER, 0)
        timer = find_timer(tx, *going, ROOM_MEMBER)
        assert timer is not None
        tx.run("count_slot", **timer.key, at=tx.now, span=0, slot=upto, counted=0, escalated=0)
    return redacted


def _is_going_on(tx: Reading, subject: str) -> bool:
    """Whether a duty redacts more about a thing."""
    going = _duty_of(tx, subject)
    return going is not None and find_timer(tx, *going, ROOM_MEMBER) is not None


def _duty_of(tx: Reading, subject: str) -> tuple[str, int] | None:
    """The rule and the number of the timer that redacts what is left about something; None if nothing has that name."""
    if subject.startswith("@"):
        return OF_MEMBER, find_member(tx, subject.removeprefix("@")).id
    kind, number = parse(subject) or (None, 0)
    return None if kind is None else (f"{REDACTING} {kind}", number)


def redact_more(tx: Writing, due: Timer) -> None:
    """Redact a page of what is left of a thing. `due.slot`: the end of the log when it was redacted."""
    if due.rule == OF_MEMBER:
        subject = f"@{tx.only(MemberName, 'member_by_id', id=due.subject).name}"
    else:
        subject = NAMES[due.rule](due.subject)
    redacted, is_over = _redact_page(tx, subject, 0, due.slot)
    if redacted:
        log.append(
            tx,
            ROOM_AUTHOR,
            act="redact",
            subject=subject,
            summary=f"The room redacted {len(redacted)} more entries about {subject}",
            detail={"entries": redacted, **what_was_kept(tx)},
        )
    if is_over:
        cancel_timer(tx, due.rule, due.subject, due.member)
        tx.effects.scrub = True
    else:
        postpone(tx, due, tx.now)


def _redact_page(
    tx: Writing, subject: str, after: int, upto: int, leaves: frozenset[str] = frozenset()
) -> tuple[list[int], bool]:
    """Redact a page of the entries and wakes about something; returns the entries, and whether nothing is left.

    Of those about a member, only what tells what its runtimes reported.
    """
    if subject.startswith("@"):
        telling = tx.all(EntryRow, "reports_about", subject=subject, upto=upto, prompt=AT_PROMPT, limit=PAGE)
        return _redact_entries(tx, telling), len(telling) < PAGE
    wakes = tx.run_counted("take_wakes_about", subject=subject, taken=REDACTED, upto=upto, limit=PAGE)
    entries = tx.all(EntryRow, "entries_about", subject=subject, after=after, upto=upto, limit=PAGE)
    going = [entry for entry in entries if entry.act not in leaves]
    return _redact_entries(tx, going), wakes < PAGE and len(entries) < PAGE


def what_was_kept(tx: Writing) -> dict[str, str]:
    """The digest of what stays of the entries that this act redacts; it belongs into the act's own entry, the next."""
    own = tx.head.seq + 1
    return {} if tx.one(KeptPart, "kept_of_redaction", redaction=own) is None else {KEPT: kept_digest(tx, own)}


def redact_replies_now(tx: Writing) -> None:
    """Remove members' words from the first replies that are remembered for repeats; a duty redacts the others.

    A repeated check-in or claim returns what there is then. Of other replies, all but the words stays.
    """
    if not _redact_replies(tx, tx.now):
        schedule(tx, FORGET_CLAIMS, 0, ROOM_MEMBER, 0)


def _redact_replies(tx: Writing, upto: float) -> bool:
    """Redact a page of the replies that were remembered up to a time; returns whether none is left."""
    is_over = True
    for act in SAID_AGAIN:
        is_over &= tx.run_counted("forget_replies", act=act, upto=upto, limit=PAGE) < PAGE
    for act, fields in REPLIES.items():
        rows = tx.all(RememberedReply, "remembered_replies", act=act, upto=upto, taken=f"%{REDACTED}%", limit=PAGE)
        is_over &= len(rows) < PAGE
        for row in rows:
            reply = {**json.loads(row.reply), **dict.fromkeys(fields, REDACTED)}
            tx.run("take_reply", member=row.member, key=row.key, reply=json.dumps(reply))
    rows = tx.all(RememberedReply, "remembered_ids", upto=upto, limit=PAGE)
    for row in rows:
        tx.run("take_key", member=row.member, key=row.key, hidden=hidden_key(row.key))
    return is_over and len(rows) < PAGE


def forget_claims(tx: Writing, due: Timer) -> None:
    """Redact a page of the replies that were remembered before a redaction."""
    if not _redact_replies(tx, due.since):
        postpone(tx, due, tx.now)
    else:
        cancel_timer(tx, due.rule, due.subject, due.member)
        tx.effects.scrub = True


class OldPage(NamedTuple):
    """A page of a redaction by age: the entries that lost their content, and the tasks that did because they are over.

    `examined`: the last entry that was looked at; `is_over`: nothing that is old enough follows.
    """

    redacted: list[int]
    tasks: list[int]
    examined: int
    is_over: bool


def redact_old(tx: Writing, before: float, after: int) -> OldPage:
    """Redact a page of old entries, except control acts and unfinished tasks."""
    page = tx.all(PageEntry, "entries_of_page", after=after, limit=LOOKED_AT)
    old = [entry for entry in page if entry.at < before]
    going: list[PageEntry] = []
    examined = after
    characters = 0
    for entry in old:
        if len(going) == PAGE or (going and characters + entry.characters > PAGE_CHARACTERS):
            break
        examined = entry.seq
        if entry.has_content and entry.act not in LASTING and not _is_in_work(tx, entry.subject):
            going.append(entry)
            characters += entry.characters
    tasks = [task for entry in going if (task := _redact_finished(tx, entry)) is not None]
    if forget_old_runtimes(tx, before) | forget_old_tools(tx, before):
        tx.effects.scrub = True
    is_over = bool(not old or examined == old[-1].seq) and (len(page) < LOOKED_AT or len(old) < len(page))
    return OldPage(_redact_entries(tx, going), tasks, examined, is_over)


def _redact_finished(tx: Writing, entry: PageEntry) -> int | None:
    """Redact the task that this entry finished; returns its number, None if it is not the last entry about a task."""
    if (found := parse(entry.subject, "task")) is None:
        return None
    is_last = tx.run_counted("take_finished_task", id=found[1], seq=entry.seq, taken=REDACTED, requires=HIDDEN)
    if is_last:
        hide_origin(tx, found[1])
        tx.run("take_needs", task=found[1], taken=REDACTED)
        tx.run("drop_redacted_needs", task=found[1], taken=REDACTED)
    task_changed(tx, found[1])
    return found[1] if is_last else None


def _is_in_work(tx: Reading, subject: str) -> bool:
    kind, number = parse(subject) or (None, 0)
    if kind == "offer":
        offer = tx.one(OfferRow, "offer", id=number)
        kind, number = (None, 0) if offer is None else ("task", offer.task)
    if kind == "decision":
        decision = tx.one(DecisionRow, "decision", id=number)
        return decision is not None and decision.state == "open"
    if kind == "authorization":
        entry = tx.one(AuthorizationRow, "authorisation", id=number)
        return entry is not None and state_of_entry(tx, entry) == "in force"
    task = tx.one(TaskRow, "task", id=number) if kind == "task" else None
    return task is not None and task.state not in ("done", "cancelled")


def _redact_entries(tx: Writing, entries: Sequence[EntryRow | PageEntry]) -> list[int]:
    for entry in entries:
        seq = entry.seq
        if (part := what_stays(_detail(tx, seq))) is not None:
            tx.run("keep_part", seq=seq, redaction=tx.head.seq + 1, part=part)
        tx.run("take_content", seq=seq)
        tx.run("unindex_message", seq=seq)
        tx.run("take_message", seq=seq, taken=REDACTED)
        tx.run("take_wakes", seq=seq, taken=REDACTED)
        tx.run("take_task_entries", seq=seq)
        tx.run("forget_refusal", member=entry.actor, seq=seq)
        if entry.act in ("pause", "resume", "kill", "enroll"):
            tx.run("take_reason", at=entry.at, taken=REDACTED)
        elif (found := parse(entry.subject, "offer")) is not None:
            tx.run("take_offer", id=found[1], needs=HIDDEN)
        elif (found := parse(entry.subject, "decision")) is not None:
            _take_decision(tx, found[1])
        elif (found := parse(entry.subject, "authorization")) is not None:
            _take_authorization(tx, found[1])
        if entry.act in NOTED:
            tx.run("forget_note", member=entry.actor)
    return [entry.seq for entry in entries]


NOTED = ("heartbeat", "update_task")
"""Acts whose note is kept as a digest, to tell a new note from a repeated one."""


def _detail(tx: Reading, seq: int) -> dict[str, Any]:
    return dict(json.loads(tx.value(str, "content_of", seq=seq) or "{}"))


def _redact_what_it_set(tx: Writing, entry: EntryRow) -> None:
    """Remove the words of one entry from where its act stored them, unless a later act stored others there.

    A member no longer declares a capability that is redacted, and a plant is removed.
    """
    detail = _detail(tx, entry.seq)
    if (task := parse(entry.subject, "task")) is not None:
        _redact_task_words(tx, task[1], detail)
    if entry.act == "repair" and (repair := parse(str(detail.get("task", "")), "task")) is not None:
        _redact_task_words(tx, repair[1], detail)
    elif entry.act == "enroll":
        member = tx.one(MemberRow, "member_by_name", name=entry.subject.removeprefix("@"))
        if member is not None:
            tx.run("take_labels", member=member.id, at=entry.at, taken=REDACTED)
    elif entry.act == "declare_capabilities":
        for capability in tx.column(str, "declared_at", member=entry.actor, at=entry.at):
            tx.run("close_probe", member=entry.actor, capability=capability)
            tx.run("drop_capability", member=entry.actor, capability=capability)
        member_changed(tx, entry.actor)
    elif entry.act == "plant":
        capability = str(detail.get("capability", entry.subject))
        tx.run("close_probes", capability=capability)
        tx.run("end_proofs", capability=capability, now=tx.now)
        tx.run("remove_plant_of", capability=capability, at=entry.at)
        tx.run("take_wake_subjects", seq=entry.seq)
        tx.changed(topics.PLANTS, topics.ROSTER)


def _redact_task_words(tx: Writing, number: int, detail: dict[str, Any]) -> None:
    """Remove from a task the texts that an entry stored there."""
    task = tx.one(TaskRow, "task", id=number)
    if task is None:
        return
    said = {
        "title": task.title == detail.get("title"),
        "detail": text_digest(task.detail) == detail.get("text"),
        "summary": task.summary == detail.get("summary"),
        "evidence": json.loads(task.evidence) == detail.get("evidence"),
        "blocked_on": task.blocked_on == detail.get("blocked_on"),
        "requires": bool(task.requires) and json.loads(task.requires) == detail.get("requires"),
    }
    tx.run(
        "put_texts",
        id=number,
        title=REDACTED if said["title"] else task.title,
        detail="" if said["detail"] else task.detail,
        summary="" if said["summary"] else task.summary,
        evidence="[]" if said["evidence"] else task.evidence,
        blocked_on="" if said["blocked_on"] else task.blocked_on,
        requires=HIDDEN if said["requires"] else task.requires,
    )
    if "external" in detail:
        hide_origin(tx, number)
    for need in detail.get("needs") or ():
        tx.run("take_need", task=number, need=need, taken=REDACTED)
        tx.run("drop_need", task=number, need=need)
    task_changed(tx, number, task.holder)


HIDDEN = json.dumps([REDACTED])
"""What an offer needs once that was redacted."""

REDACT = Act("redact", Redact, Redacted, redact, roles=ROOM_OWNERS)
