"""The reviewer of a completion: chosen by rule, replaced when unavailable, and joined by the owner when overdue."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from teamroom.server import topics
from teamroom.server.facts.ended import find_person, is_ended
from teamroom.server.facts.ids import task_name
from teamroom.server.facts.member import facts_of
from teamroom.server.facts.owed import schedule_reminder
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER, add_entry, task_changed
from teamroom.server.facts.wakes import wake_members
from teamroom.server.record import chain as log
from teamroom.server.rules.presence import PresenceState, find_presence
from teamroom.server.rules.reviews import Candidate, choose, is_lost
from teamroom.server.rules.text import add_quote
from teamroom.server.store.rows.members import MemberFacts, MemberName
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.rows.tasks import CandidateRow, ReviewRow, TaskRow
from teamroom.server.store.transaction import MissingRowError, Reading, Writing

CALLERS_LOOKED_AT, CANDIDATES = 200, 100
"""How many members, those that called last, are examined to find a reviewer, and how many of them are compared."""

REVIEWS_LOOKED_AT = 50
"""How many waiting reviews one call examines: the caller's own first, then the oldest."""

REVIEWS_REPLACED = 5
"""How many unavailable reviewers one call replaces; the next call goes on."""

REVIEWERS_LOOKED_AT, REVIEWS_OF_EACH = 1_000, 3
"""How many reviewers one call examines, and how many reviews of an unavailable one."""

NOBODY = 0
"""The reviewer of a task that nobody was asked to review, in the index of reviews."""

LONGEST_INTERVAL_SECONDS = 86_400


class ReviewDue(BaseModel):
    """A completion that waits for the caller's review."""

    task: str
    title: str
    by: str
    since: str
    why: str


@dataclass(frozen=True, slots=True)
class Reviewer:
    """The reviewer of a task now. `why`: why it is not the member that was asked; "" if it is."""

    id: int
    name: str
    why: str = ""


def as_review(row: TaskRow) -> ReviewRow:
    """A task in review as a review row. Raises MissingRowError for a task that is not completed."""
    if (
        row.completed_by is None
        or row.completed_at is None
        or row.completer_name is None
        or row.completer_owner is None
        or row.completer_owner_name is None
    ):
        raise MissingRowError(f"task {row.id} is not completed")
    return ReviewRow(
        row.id,
        row.title,
        row.review,
        row.reviewer,
        row.reviewer_name,
        row.completed_by,
        row.completed_at,
        row.completer_name,
        row.completer_owner,
        row.completer_owner_name,
    )


def select_reviewer(tx: Reading, policy: str, task: int, completer: int, owner: int) -> Reviewer | None:
    """The member to ask for a review: the named one, unless it has ended or is the completer, else one by rule (REV1).

    None where the policy is `none`, or no member can review.
    """
    if policy == "none":
        return None
    named = tx.one(MemberFacts, "member_facts", name=policy) if policy != "auto" else None
    if named is not None and named.id != completer and not is_ended(tx, named):
        return Reviewer(named.id, named.name)
    return choose_reviewer(tx, task, completer, owner)


def choose_reviewer(tx: Reading, task: int, completer: int, owner: int) -> Reviewer | None:
    """The reviewer by rule (REV1), else the completer's owner; None if neither is available."""
    rows = tx.all(
        CandidateRow,
        "possible_reviewers",
        task=task,
        completer=completer,
        owner=owner,
        looked_at=CALLERS_LOOKED_AT,
        seen_after=tx.now - tx.settings.gone_intervals * LONGEST_INTERVAL_SECONDS,
        limit=CANDIDATES,
    )
    chosen = choose([_candidate(tx, row, owner) for row in rows])
    if chosen is not None:
        return Reviewer(chosen.member, next(row.name for row in rows if row.id == chosen.member))
    name = tx.only(MemberName, "member_by_id", id=owner).name
    return Reviewer(owner, name) if owner != completer and _is_active(tx, name) else None


def reviewer_now(tx: Reading, row: ReviewRow) -> Reviewer | None:
    """The current reviewer of a task in review."""
    asked = _asked(tx, row)
    owner = row.completer_owner
    waited = tx.now - row.completed_at >= tx.policy.review_seconds
    if waited and owner not in (row.completed_by, row.reviewer) and _is_active(tx, row.completer_owner_name):
        return Reviewer(owner, row.completer_owner_name, "no other member has reviewed it in time")
    if asked is not None:
        return asked
    found = choose_reviewer(tx, row.id, row.completed_by, owner)
    if found is None or found.id == row.reviewer:
        return _stored(row)
    lost = f"@{row.reviewer_name} is not available" if row.reviewer_name else "no reviewer was available before"
    return Reviewer(found.id, found.name, lost)


def reviews_due(tx: Reading, member: int) -> list[ReviewDue]:
    """The completions that wait for a member's review now."""
    return _due(tx, _waiting(tx, member), member)


def replace_lost_reviewers(tx: Writing, member: int) -> list[ReviewDue]:
    """Replace unavailable reviewers, then return the completions that wait for a member's review."""
    rows = _waiting(tx, member)
    replaced = 0
    for row in rows:
        if replaced < REVIEWS_REPLACED and _replace_if_lost(tx, row):
            replaced += 1
    if replaced:
        rows = _waiting(tx, member)
    return _due(tx, rows, member)


def replace_lost_reviewer(tx: Writing, row: ReviewRow) -> int | None:
    """Ask the current reviewer of a task, if it is not the one that was asked; returns its id."""
    found = reviewer_now(tx, row)
    if found is None or found.id == row.reviewer:
        return None if row.reviewer is None else int(row.reviewer)
    _replace(tx, row, found)
    return found.id


def _due(tx: Reading, rows: Sequence[ReviewRow], member: int) -> list[ReviewDue]:
    due = []
    for row in rows:
        reviewer = reviewer_now(tx, row)
        if reviewer is not None and reviewer.id == member:
            due.append(
                ReviewDue(
                    task=task_name(row.id),
                    title=row.title,
                    by=row.completer_name,
                    since=tx.shown(row.completed_at),
                    why=reviewer.why,
                )
            )
    return due


def replace_ended_reviewer(tx: Writing, member: int, limit: int) -> int:
    """Replace a member that has ended as the reviewer of some tasks; returns of how many.

    If no member is available, a person reviews; without one, any member may.
    """
    rows = tx.all(ReviewRow, "reviews_asked_of", reviewer=member, limit=limit)
    for row in rows:
        found = choose_reviewer(tx, row.id, row.completed_by, row.completer_owner)
        if found is None or found.id == member:
            person = find_person(tx, row.completed_by, other_than=row.completed_by)
            found = None if person is None else Reviewer(person.id, person.name)
        _replace(tx, row, found)
    return len(rows)


def schedule_review(tx: Writing, task: int, reviewer: int) -> None:
    """Set the reminder of a member that owes a review from now on."""
    schedule_reminder(tx, "review", task, reviewer, tx.only(WatchedMember, "watched", member=reviewer).mode)


def ask_again(tx: Writing, row: ReviewRow, policy: str) -> None:
    """Ask the reviewer that a changed policy names for a task in review. `none` keeps the current one."""
    found = select_reviewer(tx, policy, row.id, row.completed_by, row.completer_owner)
    if found is not None and found.id != row.reviewer:
        _replace(tx, row, found)


def _waiting(tx: Reading, member: int) -> list[ReviewRow]:
    """Reviews that may concern a member: its own, those of its agents, and those without an available reviewer."""
    silent = tx.now - tx.settings.gone_intervals * tx.settings.live_interval_seconds
    some = {"limit": REVIEWS_LOOKED_AT}
    found = [
        *tx.all(ReviewRow, "reviews_asked_of", reviewer=member, **some),
        *_reviews_for_owner(tx, member),
        *tx.all(ReviewRow, "reviews_asked_of", reviewer=NOBODY, **some),
        *tx.all(
            ReviewRow,
            "reviews_of_lost",
            silent_since=silent,
            reviewers=REVIEWERS_LOOKED_AT,
            each=REVIEWS_OF_EACH,
            **some,
        ),
    ]
    return list({row.id: row for row in found}.values())[:REVIEWS_LOOKED_AT]


def _reviews_for_owner(tx: Reading, member: int) -> list[ReviewRow]:
    """The oldest completions of a person and each of its agents. Agents own nobody."""
    if tx.caller_row is not None and tx.caller_row.kind == "agent":
        return []
    each = max(2 * REVIEWS_LOOKED_AT // max(tx.number("count_owned", owner=member), 1), 1)
    return tx.all(ReviewRow, "reviews_for_owner", member=member, each=each, limit=REVIEWS_LOOKED_AT)


def _asked(tx: Reading, row: ReviewRow) -> Reviewer | None:
    """The member that was asked to review; None if there is none, or it is unavailable."""
    stored = _stored(row)
    if stored is None:
        return None
    found = tx.one(MemberFacts, "member_facts", name=stored.name)
    named = row.review not in ("auto", "none")
    if found is None or is_lost(_presence_state(tx, found), named):
        return None
    return stored


def _stored(row: ReviewRow) -> Reviewer | None:
    return None if row.reviewer is None else Reviewer(row.reviewer, row.reviewer_name or "")


def _is_active(tx: Reading, name: str) -> bool:
    facts = tx.one(MemberFacts, "member_facts", name=name)
    return facts is not None and facts_of(tx, facts).standing == "active" and not is_ended(tx, facts)


def _candidate(tx: Reading, row: CandidateRow, owner: int) -> Candidate:
    return Candidate(
        member=row.id,
        other_owner=row.owner != owner,
        held_it=bool(row.held_it),
        is_agent=row.kind == "agent",
        state=_presence_state(tx, row),
        last_call_at=row.last_call_at,
    )


def _presence_state(tx: Reading, row: CandidateRow | MemberFacts) -> PresenceState:
    """A member's presence, as if the room were not paused: that pause stops everyone, and must not move reviews."""
    facts = facts_of(tx, row._replace(room_state="active", room_until=None))
    return find_presence(facts, tx.now, tx.settings).state


def _replace_if_lost(tx: Writing, row: ReviewRow) -> bool:
    if _asked(tx, row) is not None:
        return False
    found = choose_reviewer(tx, row.id, row.completed_by, row.completer_owner)
    if found is None or found.id == row.reviewer:
        return False
    _replace(tx, row, found)
    return True


def _replace(tx: Writing, row: ReviewRow, found: Reviewer | None) -> None:
    """Ask another member for a review; None: any member may review it."""
    task, whom = task_name(row.id), "any other member" if found is None else f"@{found.name}"
    before = f"@{row.reviewer_name}" if row.reviewer_name else "no reviewer"
    line = add_quote(f"{whom[0].upper()}{whom[1:]} reviews {task} instead of {before}", row.title)
    seq = log.append(
        tx,
        ROOM_AUTHOR,
        act="replace_reviewer",
        subject=task,
        summary=line,
        detail={"before": row.reviewer_name},
    )
    tx.run("set_reviewer", id=row.id, reviewer=None if found is None else found.id, seq=seq)
    task_changed(tx, row.id)
    concerned = (row.reviewer, None if found is None else found.id)
    tx.changed(*(topics.inbox(member) for member in concerned if member is not None))
    add_entry(tx, row.id, ROOM_AUTHOR, "reviewer", f"{whom} instead of {before}")
    if found is None:
        return
    schedule_review(tx, row.id, found.id)
    wake_members(
        tx,
        [found.id],
        reason="review",
        subject=task,
        sender=ROOM_MEMBER,
        line=add_quote(f"@{row.completer_name} completed {task}, please review", row.title),
    )
