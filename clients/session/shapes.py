"""What the room's tools take and return, as types of plain dictionaries.

`python -m tests.support.generated` writes this file from the models of the tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NotRequired, TypedDict


class Additions(TypedDict):
    """What any answer may say besides its reply."""

    brief: NotRequired[str]
    ignored: NotRequired[list[str]]
    removed: NotRequired[dict[str, int]]
    not_reached: NotRequired[list[NotReached]]
    new_names: NotRequired[list[NewName]]
    waiting: NotRequired[list[WaitingWake]]


class Answered(Additions):
    """Reply of `answer_hand_off`; `fence` and `lease_until` only if it was accepted."""

    receipt: int | None
    head: str | None
    replayed: str | None
    offer: str
    task: str
    state: Literal["accepted", "declined", "withdrawn", "expired", "voided"]
    fence: int | None
    lease_until: str | None
    next: NotRequired[str]


class ApprovalRequired(Additions):
    """Reply of `require_approval`: the rule, and whether it was removed. `note`: what it does not mean."""

    rule: int
    to: str
    match: str
    exceptions: list[str]
    scope: str | None
    by: str
    receipt: int | None
    head: str | None
    replayed: str | None
    is_removed: bool
    note: str
    next: NotRequired[str]


class ArtifactShown(TypedDict):
    """An artifact as its receiver sees it: how to prove it, never the hash."""

    kind: str
    ref: str
    command: str | None


class AuthorizationShown(TypedDict):
    """An entry: `to`: a member, or `owner:NAME` for all agents of an owner. `uses` None: without a limit."""

    authorization: str
    to: str
    scope: str
    state: Literal["in force", "used up", "expired", "revoked"]
    until: str
    uses: int | None
    used: int
    by: str
    reason: str
    revoked_by: str | None


class Authorized(Additions):
    """Reply of `authorize`: the entry as it is now."""

    authorization: str
    to: str
    scope: str
    state: Literal["in force", "used up", "expired", "revoked"]
    until: str
    uses: int | None
    used: int
    by: str
    reason: str
    revoked_by: str | None
    receipt: int | None
    head: str | None
    replayed: str | None
    next: NotRequired[str]


class Beat(Additions):
    """Reply of `heartbeat`."""

    receipt: int | None
    head: str | None
    replayed: str | None
    standing: Literal["active", "paused"]
    by: str | None
    reason: str | None
    until: str | None
    pending: Pending
    next: NotRequired[str]


class Board(Additions):
    """Reply of `read_board`. `next` is the `after` of the next call, if there are more tasks."""

    tasks: list[TaskLine]
    task: TaskShown | None
    next: str | None


class Broken(TypedDict):
    """Something that broke, or may have: `line`: its log line; `by`: the member that noticed it.

    `times`: how often in the span; `over`: whether it is repaired or past; `became`: the outcome.
    """

    kind: Literal[
        "restore",
        "presence",
        "at_prompt",
        "two_hosts",
        "undelivered",
        "duty",
        "overdue",
        "alert",
        "escalation",
        "exchange",
        "sent_back",
        "recovered",
        "waited",
        "expired",
        "refused",
    ]
    subject: str
    line: str
    by: str
    at: str
    times: int
    over: bool
    became: str


class Brought(TypedDict):
    """The last progress of a task; `evidence`: the first evidence of a completion."""

    by: str
    at: str
    kind: str
    text: str
    evidence: str


class CapabilityShown(TypedDict):
    """A capability, how it is known, by whom, and until when; whether it counts at the room's trust level."""

    capability: str
    state: Literal["declared", "proven", "attested", "failed", "expired"]
    how: str
    by: str | None
    until: str | None
    counts: bool


class Checked(Additions):
    """Reply of `check_authorization`. `uses_left` None: without a limit."""

    receipt: int | None
    head: str | None
    replayed: str | None
    allowed: bool
    scope: str
    authorization: str | None
    by: str | None
    until: str | None
    uses_left: int | None
    fix: str | None
    next: NotRequired[str]


class CheckedIn(Additions):
    """Reply of `check_in`. `quiet`: messages to the caller since its cursor that did not wake it, oldest first.

    `decisions`: those that wait for the caller, and those that it asked for, open or settled since its
    cursor.
    """

    receipt: int | None
    head: str | None
    replayed: str | None
    cursor: int
    standing: str
    mode: str
    changes: int
    wakes: list[Wake]
    tasks: list[TaskHeld]
    offers: list[OfferShown]
    probes: list[Probe]
    reviews: list[ReviewDue]
    reminders: list[Reminder]
    challenge: str | None
    decisions: list[DecisionShown]
    quiet: list[QuietMessage]
    next: NotRequired[str]


class Claimed(Additions):
    """Reply of `claim_task`: the task in full, with the fence that its holder writes with."""

    receipt: int | None
    head: str | None
    replayed: str | None
    task: str
    title: str
    creator: str
    detail: str
    needs: list[str]
    requires: list[str]
    authorizations: list[str]
    cancelled: list[str]
    fence: int
    lease_until: str | None
    history: list[Entry]
    next: NotRequired[str]


class Completed(Additions):
    """Reply of `complete_task`."""

    receipt: int | None
    head: str | None
    replayed: str | None
    task: str
    state: Literal["in_review", "done"]
    reviewer: str | None
    next: NotRequired[str]


class Controlled(Additions):
    """Reply of `pause`, `resume` and `kill`: the standing of the target afterwards.

    `remaining`: the pauses that still bind agents after a resume. `gradual`: its agents are let go one after
    the other. `reaches`: what a stop reaches besides calls to the room, and what it does not, in words.
    """

    receipt: int | None
    head: str | None
    replayed: str | None
    target: str
    standing: Literal["active", "paused", "killed"]
    until: str | None
    note: str
    remaining: list[PauseLeft]
    gradual: bool
    reaches: str
    next: NotRequired[str]


class Created(Additions):
    """Reply of `create_task`."""

    receipt: int | None
    head: str | None
    replayed: str | None
    task: str
    next: NotRequired[str]


class Decided(Additions):
    """Reply of `decide`."""

    receipt: int | None
    head: str | None
    replayed: str | None
    decision: str
    answer: str
    by: str
    next: NotRequired[str]


class DecisionShown(TypedDict):
    """A decision. `by`: who asked for it; `to`: the people who were asked. `digest` covers all that it says.

    `answer`, `note` and `decided_by` are there once it is decided. `replaced_by`: the decision that replaced
    it.
    """

    decision: str
    state: Literal["open", "decided", "expired", "withdrawn", "replaced"]
    question: str
    options: list[str]
    detail: str
    by: str
    to: list[str]
    task: str | None
    artifacts: list[dict[str, Any]]
    until: str
    digest: str
    answer: str | None
    note: str
    decided_by: str | None
    settled_at: str | None
    replaces: str | None
    replaced_by: str | None


class Declared(Additions):
    """Reply of `declare_capabilities`: the member's capabilities now, and what it is asked to prove.

    `has_proven`: whether the call answered a probe.
    """

    receipt: int | None
    head: str | None
    replayed: str | None
    member: str
    attested: bool
    withdrawn: bool
    capabilities: list[str]
    states: list[CapabilityShown]
    probes: list[Probe]
    next: NotRequired[str]


class Doer(TypedDict):
    """What a member did in the span. `newest`: what it completed last."""

    member: str
    completed: int
    reviewed: int
    handed_over: int
    took_over: int
    reports: int
    newest: list[Title]


class Enrolled(Additions):
    """Reply of `enroll`. The token is shown only once. `chat`: it is for a chat client.

    `yours_until_used`: it replaces the token of this call, which is in force until the new one is first used.
    `former`: the names that the member had before, the newest first. `renamed`: this call gave it another
    name and no token; then `token_id` and `label` are empty.
    """

    receipt: int | None
    head: str | None
    replayed: str | None
    name: str
    token: str | None
    token_id: str
    label: str
    url: str
    chat: bool
    yours_until_used: bool
    former: list[str]
    renamed: bool
    next: NotRequired[str]


class Entry(TypedDict):
    """Something that happened to a task."""

    seq: int
    at: str
    member: str
    kind: str
    text: str
    detail: dict[str, Any]


class Forecast(TypedDict):
    """When an addressee is expected to answer; None: no estimate. `others`: members that could answer instead."""

    to: str
    mode: str
    presence: str
    standing: str
    expected_seconds: float | None
    p90_seconds: float | None
    note: str
    measured: bool
    supported: bool
    others: list[str]


class HarnessShown(TypedDict):
    """What a member's harness reports by its hooks.

    `gate`: when it last asked the room before it used a tool of its own; None if it never did. `doing`: what
    it is doing since `since`, and with which `tool`; "" if it does not say.
    """

    name: str
    gate: str | None
    doing: str
    tool: str
    since: str | None


class Held(TypedDict):
    """A task in progress: its holder (in review, its completer), that member's presence, and the last progress."""

    task: str
    title: str
    state: Literal["claimed", "blocked", "offered", "in_review"]
    holder: str
    presence: str
    reason: str
    overdue: bool
    lease_until: str | None
    waits_for: str | None
    last: Brought | None


class Imported(Additions):
    """Reply of `import_task`.

    `kept`: somebody changed the task here, so it stays; `differs` says in what. `missing`: the places in
    `depends_on` of ids that no task here has.
    """

    receipt: int | None
    head: str | None
    replayed: str | None
    task: str
    outcome: Literal["created", "changed", "unchanged", "kept"]
    differs: list[
        Literal[
            "title",
            "detail",
            "priority",
            "due",
            "state",
            "summary",
            "created_at",
            "closed_at",
            "depends_on",
            "redacted",
        ]
    ]
    missing: list[int]
    next: NotRequired[str]


class LettersShown(TypedDict):
    """What applies to a person's letters. `own`: which of it the person chose; the rest is the room's."""

    quiet: str
    per_hour: int
    zone: str
    digest_time: str
    suspects: bool
    own: list[str]


class MemberShown(TypedDict):
    """A member on the roster. `former`: the names that it had before, the newest first."""

    name: str
    former: list[str]
    kind: str
    role: str
    owner: str
    mode: str
    presence: str
    reason: str
    standing: str
    stop: Stop | None
    tasks: list[str]
    connected: bool
    listening: bool
    last_call: str | None
    last_progress: str | None
    run: RunShown | None
    harness: HarnessShown | None
    runtimes: list[RuntimeShown]
    on_two_hosts: bool
    next_wake: str | None
    expected_seconds: float | None
    p90_seconds: float | None
    answers: str
    wake_verified: bool | None
    supported: bool
    capabilities: list[CapabilityShown]
    authorizations: list[AuthorizationShown]
    rules: list[RuleShown]
    completions_reviewed: int
    completions_upheld: int
    reminders: list[Slot]
    last_act: str | None
    wake_waits_since: str | None
    has_listened: bool | None


class Message(TypedDict):
    """A message in full. `previous` is the number of the one before it under the same filter.

    `reminders`: of an ask that was read by id, whom the room reminded of it, or why it did not. `wakes`: of
    one of a few that were read by id, what was seen of the wake of each addressee. A plain dataclass, because
    a page holds fifty.
    """

    id: str
    seq: int
    previous: int
    author: str
    author_kind: str
    at: str
    kind: str
    summary: str
    text: str
    thread: str
    task: str | None
    reply_to: str | None
    reminders: list[Slot]
    wakes: list[WakeSteps]


class Messages(Additions):
    """Reply of `read_messages`; `cursor` is the `after` of the next call.

    `left_out`: requested ids that did not fit into one reply.
    """

    messages: list[Message]
    cursor: int
    left_out: list[str]
    next: NotRequired[str]


class NewName(TypedDict):
    """A former name that an act gave, and the name of that member now."""

    name: str
    now: str


class Night(Additions):
    """Reply of `overnight`: the entries of the log after one number and up to another, on at most 60 lines.

    `since_last_look`: whether the span begins where the caller's last look ended.
    """

    since: str
    until: str
    since_last_look: bool
    after: int
    upto: int
    reads_receipts: bool
    entries: int
    pace: Pace
    waits: SectionWaiting
    broke: SectionBroken
    stopped: SectionStopped
    has: SectionHeld
    tasks: dict[str, int]
    done: SectionDoer
    allowed: SectionAuthorizationShown
    next: NotRequired[str]


class NotReached(TypedDict):
    """A mention that wakes nobody, why, and the members that it may mean."""

    name: str
    why: str
    near: list[str]


class Notified(Additions):
    """Reply of `notify`: what applies to the person's letters now, and the kinds of the channels.

    `letter`: the number of the test letter, 0 for a change. `added`: the number of the channel that was
    added, else 0.
    """

    receipt: int | None
    head: str | None
    replayed: str | None
    name: str
    letter: int
    channels: list[str]
    settings: LettersShown
    added: int
    note: str
    next: NotRequired[str]


OfferShown = TypedDict(
    "OfferShown",
    {
        "offer": str,
        "task": str,
        "title": str,
        "creator": str,
        "from": str,
        "note": str,
        "needs": list[str],
        "artifacts": list[ArtifactShown],
        "expires_at": str,
    },
)


class Offered(Additions):
    """Reply of `hand_off`."""

    receipt: int | None
    head: str | None
    replayed: str | None
    offer: str
    task: str
    expires_at: str
    forecast: list[Forecast]
    next: NotRequired[str]


class Pace(TypedDict):
    """The number of log entries in each step of the span; the last step may be shorter."""

    step_seconds: float
    entries: list[int]


class PauseLeft(TypedDict):
    """A pause that remains after a resume: its target, who set it, why, until when, and which agents it binds.

    `more`: how many further agents it binds are not named.
    """

    target: str
    by: str
    reason: str
    until: str | None
    members: list[str]
    more: bool


class Pending(TypedDict):
    """How much waits for a member."""

    wakes: int
    offers: int


class Planted(Additions):
    """Reply of `plant`. The value is shown only once. `asked`: how many members with the capability were woken."""

    receipt: int | None
    head: str | None
    replayed: str | None
    capability: str
    value: str | None
    read: str
    where: str
    asked: int
    next: NotRequired[str]


class PolicySet(Additions):
    """Reply of `set_policy`: the value in force from the next act on."""

    receipt: int | None
    head: str | None
    replayed: str | None
    name: str
    before: Any
    value: Any
    origin: str
    note: str
    next: NotRequired[str]


class Posted(Additions):
    """Reply of `post_message`.

    `folded`: the author's notes for the hour are used up, so it is shown in one line with a count.
    `not_woken`: addressees that only exchange answers with the author while nobody else moves a task of
    theirs, or whose message, which this one replies to, asked nothing (`asked_nothing`).
    """

    receipt: int | None
    head: str | None
    replayed: str | None
    message: str
    forecast: list[Forecast]
    folded: bool
    not_woken: list[str]
    asked_nothing: bool
    next: NotRequired[str]


class Probe(TypedDict):
    """A probe of one member, answered once: with the first word that `command` prints where the capability is."""

    capability: str
    nonce: str
    command: str
    where: str
    planted_by: str
    until: str


QuietMessage = TypedDict("QuietMessage", {"message": str, "from": str, "line": str})


class Receipt(TypedDict):
    """One entry of the log. `summary` and `detail` are empty if they were redacted."""

    seq: int
    at: str
    actor: str
    owner: str
    act: str
    subject: str
    outcome: str
    summary: str
    detail: dict[str, Any]
    hash: str


class Receipts(Additions):
    """Reply of `read_receipts`; `cursor` is the `after` of the next call."""

    receipts: list[Receipt]
    cursor: int
    next: NotRequired[str]


class Redacted(Additions):
    """Reply of `redact`: how many entries lost their content. With an age, the `after` of the next call, if any.

    `reports`: how many reports of runtimes did, with a member. `more`: the room redacts further entries about
    the thing now, page by page.
    """

    receipt: int | None
    head: str | None
    replayed: str | None
    what: str
    entries: int
    reports: int
    more: bool
    after: int | None
    next: NotRequired[str]


class Reminder(TypedDict):
    """Something that the caller was reminded of and still owes. `times`: how often; `at`: the last time."""

    rule: str
    subject: str
    at: str
    since: str
    times: int


class Repaired(Additions):
    """Reply of `repair`: the runtime's repair that is not finished, if there is one.

    `released`: its holder gave it up, so it waits for a person. `ordered`: a person asked for it, and it was
    not given up since. The runtime is then restarted even if it looks healthy or was restarted often.
    `tried_seconds_ago`: how long ago each restart of this runtime was noted, the newest first.
    `given_up_seconds_ago`: how long ago a repair of it was last given up.
    """

    receipt: int | None
    head: str | None
    replayed: str | None
    name: str
    task: str | None
    state: str | None
    holder: str | None
    released: bool
    ordered: bool
    tried_seconds_ago: list[float]
    given_up_seconds_ago: float | None
    next: NotRequired[str]


class Requested(Additions):
    """Reply of `request_decision`: when to expect each person. `withdrawn`: the call only withdrew a decision."""

    receipt: int | None
    head: str | None
    replayed: str | None
    decision: str
    until: str | None
    digest: str
    forecast: list[Forecast]
    withdrawn: bool
    next: NotRequired[str]


class ReviewDue(TypedDict):
    """A completion that waits for the caller's review."""

    task: str
    title: str
    by: str
    since: str
    why: str


class Reviewed(Additions):
    """Reply of `review_task`."""

    receipt: int | None
    head: str | None
    replayed: str | None
    task: str
    state: str
    next: NotRequired[str]


class Revoked(Additions):
    """Reply of `revoke`. `tokens`: how many were revoked; `issued`: how many of them the member's tokens had
    issued.

    `more`: there are more issued tokens than one call revokes.
    """

    receipt: int | None
    head: str | None
    replayed: str | None
    name: str
    tokens: int
    issued: int
    more: bool
    next: NotRequired[str]


class Roster(Additions):
    """Reply of `who`. `next` is the `after` of the next call, if there are more members."""

    members: list[MemberShown]
    next: str | None


class RuleShown(TypedDict):
    """A rule. `to`: a member, or `owner:NAME` for all agents of an owner. `rule`: its number, which removes it."""

    rule: int
    to: str
    match: str
    exceptions: list[str]
    scope: str | None
    by: str


class RunShown(TypedDict):
    """A run under a member's listener: when it began, and when its processes last moved."""

    since: str
    moved: str


class RuntimeShown(TypedDict):
    """A runtime of a member, as it reported itself; '' for what it did not say.

    `folder`: the last part of its path. `seen`: when it was last seen, to some minutes. `alive`: whether that
    is recent.
    """

    host: str
    folder: str
    harness: str
    version: str
    branch: str
    commit: str
    seen: str
    alive: bool


class SectionAuthorizationShown(TypedDict):
    """SectionAuthorizationShown."""

    counts: dict[str, int]
    shown: list[AuthorizationShown]
    left_out: dict[str, int]


class SectionBroken(TypedDict):
    """SectionBroken."""

    counts: dict[str, int]
    shown: list[Broken]
    left_out: dict[str, int]


class SectionDoer(TypedDict):
    """SectionDoer."""

    counts: dict[str, int]
    shown: list[Doer]
    left_out: dict[str, int]


class SectionHeld(TypedDict):
    """SectionHeld."""

    counts: dict[str, int]
    shown: list[Held]
    left_out: dict[str, int]


class SectionStopped(TypedDict):
    """SectionStopped."""

    counts: dict[str, int]
    shown: list[Stopped]
    left_out: dict[str, int]


class SectionWaiting(TypedDict):
    """SectionWaiting."""

    counts: dict[str, int]
    shown: list[Waiting]
    left_out: dict[str, int]


class SignInLink(Additions):
    """Reply of `sign_in`: a link that counts once, and its code, for a page without script. Both are shown only
    once.

    `until`: until when it can be opened. `url` and `code` are None in the reply to a repeated call.
    """

    receipt: int | None
    head: str | None
    replayed: str | None
    name: str
    url: str | None
    code: str | None
    until: str
    next: NotRequired[str]


class Slot(TypedDict):
    """A reminder that was sent, held or silent, and why."""

    rule: str
    member: str
    at: str
    outcome: Literal["sent", "held", "silent"]
    reason: str
    missed: int


class Stop(TypedDict):
    """The stop in force for a member: of itself, of all agents of its owner, or of the room (`level`)."""

    level: str
    by: str
    reason: str
    since: str
    until: str | None


class Stopped(TypedDict):
    """A target that is or was stopped: `@name`, `owner:NAME` or `room`; `by` gave the `reason`.

    `standing` active: `ended_by` ended the stop, or it expired if that is None; `revived`: after a kill.
    `times`: how often the target was stopped or released in the span.
    """

    target: str
    standing: Literal["active", "paused", "killed"]
    by: str
    since: str
    until: str | None
    reason: str
    times: int
    ended_by: str | None
    ended_at: str | None
    revived: bool


class TaskHeld(TypedDict):
    """A task of the caller's, in one line."""

    task: str
    title: str
    creator: str
    state: str
    fence: int
    lease_until: str | None


class TaskLine(TypedDict):
    """A task in one line."""

    task: str
    title: str
    creator: str
    state: str
    priority: int
    holder: str | None
    lease_until: str | None
    overdue: bool
    waiting_for: str | None
    cancelled: list[str]


class TaskShown(TypedDict):
    """A task in full. `external`: its id elsewhere. A task that an import brought has the dates that it has
    there.
    """

    task: str
    title: str
    creator: str
    state: str
    priority: int
    holder: str | None
    lease_until: str | None
    overdue: bool
    waiting_for: str | None
    cancelled: list[str]
    external: str | None
    detail: str
    created_at: str
    due: str | None
    assigned: str | None
    fence: int
    needs: list[str]
    requires: list[str]
    authorizations: list[str]
    depends_on: list[dict[str, str]]
    review: str
    reviewer: str | None
    completed_by: str | None
    completed_at: str | None
    upheld: str | None
    summary: str
    evidence: list[dict[str, Any]]
    hops: int
    reminders: list[Slot]
    decisions: list[DecisionShown]
    history: list[Entry]


class Title(TypedDict):
    """A task by its title."""

    task: str
    title: str


class Updated(Additions):
    """Reply of `update_task`. `blocked_on`: the id, the member or the date for which the task now waits.

    `snoozed_until`: until when the call holds the task's reminders back.
    """

    receipt: int | None
    head: str | None
    replayed: str | None
    task: str
    state: str
    fence: int
    lease_until: str | None
    blocked_on: str | None
    snoozed_until: str | None
    next: NotRequired[str]


class Waited(Additions):
    """Reply of `wait_for_wake`; `proofs`: how many capabilities the member should prove now.

    `unacknowledged`: wakes that this listener was given before and that nobody has acknowledged.
    `due_seconds`: after how many seconds a delayed digest is due.
    """

    wakes: list[Wake]
    cursor: int
    unacknowledged: int
    proofs: int
    superseded: bool
    next: NotRequired[str]


class Waiting(TypedDict):
    """Something that waits for a person. `person` None: any person. `text`: what `by` wrote about it.

    For an escalation, `by` is the member that does not do what it owes, and `times` how often it was
    reminded. `command`: the command that settles it, where one word is left to fill in.
    """

    kind: Literal["escalation", "decision", "ask", "review", "blocked", "offer", "assigned"]
    subject: str
    person: str | None
    by: str
    since: str
    until: str | None
    text: str
    times: int
    command: str


Wake = TypedDict("Wake", {"seq": int, "reason": str, "subject": str, "from": str, "line": str, "count": int})


class WakeSteps(TypedDict):
    """What was seen of an addressee's wake, and when; None: not seen.

    `held`: since when a stop held it back. `wakes`: whether the message woke it at all.
    """

    to: str
    wakes: bool
    held: str | None
    notified: str | None
    woken: str | None
    acted: str | None


class Artifact(TypedDict):
    """Something that the next holder must be able to reach."""

    kind: NotRequired[Literal["file", "commit", "link", "other"]]
    ref: str
    sha256: NotRequired[str | None]


class CapabilityProof(TypedDict):
    """The answer to an open probe."""

    capability: str
    value: str


class Changes(TypedDict):
    """What `update_task` may change of a task; a field that is not given stays."""

    title: NotRequired[str | None]
    detail: NotRequired[str | None]
    needs: NotRequired[Sequence[str] | None]
    priority: NotRequired[int | None]
    due: NotRequired[float | None]
    depends_on: NotRequired[Sequence[str] | None]
    assign: NotRequired[str | None]
    review: NotRequired[str | None]
    requires: NotRequired[Sequence[str] | None]


class Evidence(TypedDict):
    """Something that supports a completion, with how to check it again where that is known."""

    kind: Literal["commit", "file", "test", "link", "receipt"]
    ref: str
    value: NotRequired[str | None]


class Proof(TypedDict):
    """What the receiver found behind an artifact's ref."""

    ref: str
    value: str


WaitingWake = TypedDict("WaitingWake", {"reason": str, "subject": str, "from": str})
