"""Row types of members, tokens and presence."""

from typing import NamedTuple

from teamroom.server.identity import Kind, Role, TokenKind


class Principal(NamedTuple):
    """All that decides whether a token may act: token, member, owner, and standing at three levels."""

    token: str
    label: str
    token_kind: TokenKind
    expires_at: float | None
    revoked_at: float | None
    member: int
    name: str
    kind: Kind
    role: Role
    owner: int
    owner_name: str
    mode: str
    acknowledged: int
    epoch: int
    room_epoch: int
    last_call_at: float | None
    run_heard_at: float | None
    run_ended_at: float | None
    seen: int
    acted: int
    woken: int
    lost_runs: int
    trouble: str | None
    own_state: str | None
    own_until: float | None
    owner_state: str | None
    owner_until: float | None
    room_state: str | None
    room_until: float | None
    has_wakes: bool
    has_offers: bool
    has_former_names: bool


class KindsWaiting(NamedTuple):
    """What there may be for a member, of each kind that a check-in shows."""

    tasks: bool
    capabilities: bool
    reviews: bool
    reminders: bool
    decisions: bool
    messages: bool


class TokenRow(NamedTuple):
    """A token and its member, found by the token's hash."""

    token: str
    label: str
    token_kind: TokenKind
    expires_at: float | None
    revoked_at: float | None
    member: int
    name: str
    kind: Kind
    role: Role
    owner: int
    owner_name: str
    state: str | None
    reason: str | None
    by_name: str | None
    replaces: str | None
    hash: str


class MemberRow(NamedTuple):
    """A member as it was enrolled."""

    id: int
    name: str
    kind: Kind
    role: Role
    owner: int
    owner_name: str
    mode: str
    created_at: float
    acknowledged: int


class MemberName(NamedTuple):
    """A member's name, kind and owner."""

    id: int
    name: str
    kind: Kind
    owner: int


class Renamed(NamedTuple):
    """A name that a member has or had, and its name now."""

    name: str
    now: str


class NameAlike(NamedTuple):
    """A name that a member has or had, and that another name looks like; and the member with its name now."""

    name: str
    now: str
    member: int

    @property
    def words(self) -> str:
        """What the name is, in words."""
        return f"@{self.name}, {'a member of this room' if self.name == self.now else f'a former name of @{self.now}'}"


class RunRow(NamedTuple):
    """The newest run of a member's listener. `run_seconds`: for how long the listener's machine has run it."""

    run_since: float | None
    run_seconds: float
    run_heard_at: float | None
    slowest_run: float


class NoteRow(NamedTuple):
    """The digest of a member's newest note, and until when it declared work with it."""

    last_note: str | None
    busy_until: float | None


class TroubledAgent(NamedTuple):
    """An agent that the room suspects, and since when."""

    name: str
    since: float


class RosterRow(NamedTuple):
    """A member on the roster, with the facts behind its presence and standing."""

    id: int
    name: str
    kind: Kind
    role: Role
    owner: int
    owner_name: str
    mode: str
    last_call_at: float | None
    last_progress_at: float | None
    declared_at: float | None
    busy_until: float | None
    works_on_task: int | None
    connected_at: float | None
    run_since: float | None
    run_moved_at: float | None
    run_heard_at: float | None
    run_ended_at: float | None
    slowest_run: float | None
    gate_at: float | None
    prompt_since: float | None
    tokens_until: float | None
    is_verified: int | None
    unacted_at: float | None
    trouble: str | None
    trouble_reason: str | None
    own_state: str | None
    own_until: float | None
    owner_state: str | None
    owner_until: float | None
    room_state: str | None
    room_until: float | None
    harness: str | None
    phase: str | None
    tool: str | None
    phase_since: float | None
    is_renamed: bool
    has_runtimes: bool
    has_capabilities: bool
    has_authorisations: bool
    """Whether there are any in the room, and so with the rules."""
    has_rules: bool
    is_reviewed: bool


class SignInRow(NamedTuple):
    """A link to sign in with, the person that it is for, and the token that made it."""

    member: int
    expires_at: float
    issued_by: str | None
    name: str
    owner: int
    state: str
    issuer_revoked_at: float | None
    issuer_expires_at: float | None


class LiveToken(NamedTuple):
    """A token that is in force."""

    id: str
    label: str
    kind: TokenKind
    created_at: float
    expires_at: float | None


class MemberFacts(NamedTuple):
    """The facts behind a member's presence and standing."""

    id: int
    name: str
    kind: Kind
    owner: int
    mode: str
    last_call_at: float | None
    last_progress_at: float | None
    declared_at: float | None
    busy_until: float | None
    works_on_task: int | None
    connected_at: float | None
    run_since: float | None
    run_moved_at: float | None
    run_heard_at: float | None
    run_ended_at: float | None
    slowest_run: float | None
    gate_at: float | None
    prompt_since: float | None
    tokens_until: float | None
    is_verified: int | None
    unacted_at: float | None
    trouble: str | None
    trouble_reason: str | None
    own_state: str | None
    own_until: float | None
    owner_state: str | None
    owner_until: float | None
    room_state: str | None
    room_until: float | None
