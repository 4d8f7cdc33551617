"""The types of acts and reads, and the argument types that they share."""

import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    ValidationInfo,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from teamroom.server.clock import WallTime
from teamroom.server.facts.ids import (
    LARGEST_NUMBER,
    AuthorizationNumber,
    DecisionNumber,
    MessageNumber,
    OfferNumber,
    TaskNumber,
    authorization_name,
    decision_name,
    message_name,
    offer_name,
    parse_authorization,
    parse_decision,
    parse_message,
    parse_offer,
    parse_task,
    task_name,
)
from teamroom.server.facts.mentions import NAMES_MEMBER, PROSE, NewName, NotReached
from teamroom.server.facts.roles import EVERYBODY, WORKERS, Roles
from teamroom.server.identity import TOKEN, Caller
from teamroom.server.record.chain import Author
from teamroom.server.rules.characters import clean, count_removed, described, forbidden_character, kind_with_article
from teamroom.server.rules.folding import WaitingWake
from teamroom.server.rules.names import AT
from teamroom.server.rules.presence import parse_mode
from teamroom.server.rules.text import TEXT_CHARACTERS
from teamroom.server.store.transaction import Reading, Writing

ID_CHARACTERS = 20
"""The longest id that is accepted. 18 digits fit every engine."""

TOKEN_IN_TEXT = "token_in_text"
"""The kind of error of a text that contains a token. The fix is to replace the token."""


def _cleaned(value: Any, info: ValidationInfo) -> Any:
    """A text without what steers or hides. What was removed is counted in the validation's context, if it has one."""
    if not isinstance(value, str):
        return value
    cleaned = clean(value)
    if cleaned.removed and not cleaned.text.strip():
        raise ValueError(f"nothing is left of it without {count_removed(cleaned.removed)}")
    if isinstance(info.context, Counter):
        info.context.update(cleaned.removed)
    return cleaned.text


def _without_token(text: str) -> str:
    if TOKEN.search(text):
        raise PydanticCustomError(TOKEN_IN_TEXT, "contains a token of this room, which every member could read")
    return text


def _clean(text: str) -> str:
    if (place := forbidden_character(text)) is not None:
        raise ValueError(
            f"{described(text[place])} as character {place + 1} is {kind_with_article(text[place])}; "
            "remove it and others like it"
        )
    return _without_token(text)


def _on_one_line(text: str) -> str:
    line = " ".join(_clean(text).split())
    if text and not line:
        raise ValueError("must not be blank")
    return line


def _name(text: str) -> str:
    return unicodedata.normalize("NFKC", _on_one_line(text)).lstrip(AT)


def _written(parse: Callable[[str], int], name: Callable[[int], str]) -> GetPydanticSchema:
    """An id that is written as a text of at most `ID_CHARACTERS`, and used as a number."""

    def schema(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = handler.generate_schema(Annotated[str, Field(max_length=ID_CHARACTERS)])
        printed = core_schema.plain_serializer_function_ser_schema(name)
        return core_schema.no_info_after_validator_function(parse, text, serialization=printed)

    return GetPydanticSchema(schema)


Words = Annotated[str, Field(max_length=200), AfterValidator(_on_one_line)]
Line = Annotated[Words, PROSE]
Text = Annotated[
    str, Field(max_length=TEXT_CHARACTERS), BeforeValidator(_cleaned), AfterValidator(_without_token), PROSE
]
Name = Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_name), NAMES_MEMBER]
NameOrNone = Annotated[str, Field(max_length=40), AfterValidator(_name), NAMES_MEMBER]
TargetName = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_name), NAMES_MEMBER]
Need = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_on_one_line)]
Ref = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_on_one_line)]
Value = Annotated[str, Field(max_length=500), AfterValidator(_on_one_line)]
External = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_on_one_line)]
TaskId = Annotated[TaskNumber, _written(parse_task, task_name)]
MessageId = Annotated[MessageNumber, _written(parse_message, message_name)]
OfferId = Annotated[OfferNumber, _written(parse_offer, offer_name)]
DecisionId = Annotated[DecisionNumber, _written(parse_decision, decision_name)]
AuthorizationId = Annotated[AuthorizationNumber, _written(parse_authorization, authorization_name)]
Seq = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]
Fence = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]


UNIX_TIME_FROM = 1_000_000_000
"""Numbers of seconds from here on are Unix times; smaller ones are spans from now."""


def _mode(mode: str) -> str:
    parsed = parse_mode(mode.strip().lower())
    if parsed is None:
        raise ValueError("a mode is live, every:SECONDS (30 to 86400), on_demand or manual")
    return parsed


Mode = Annotated[str, Field(max_length=12), AfterValidator(_mode)]
Span = Annotated[float, Field(gt=0, le=4_000_000_000)]


def from_now(tx: Reading, span: float) -> float:
    """The end of the span that an argument in seconds means, in room time.

    It is a span from now, or a Unix time from `UNIX_TIME_FROM` on.
    """
    return tx.room_time_of(WallTime(span)) if span >= UNIX_TIME_FROM else tx.now + span


def date_from_now(tx: Reading, span: float) -> WallTime:
    """The date that an argument in seconds means: a span from now, or a Unix time from `UNIX_TIME_FROM` on."""
    return WallTime(span if span >= UNIX_TIME_FROM else tx.wall + span)


class Arguments(BaseModel):
    """The arguments of an act or a read. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reply(BaseModel):
    """The reply of an act: the number of its receipt, and the time of the first call if this one repeats it.

    `head`: the end of the log right after the act, as `HASH@NUMBER`. Who keeps it can check the log against it later.
    `not_reached`: the mentions in the texts of the act that wake nobody; a repeated call does not get them again.
    `new_names`: the former names that the act gave, each with the name of its member now.
    `waiting`: what waits for the agent that acted. All three are shown only where there is something.
    `unused`: the names of addresses that the act gave up; nobody is shown them.
    """

    model_config = ConfigDict(extra="forbid")

    receipt: int | None = None
    head: str | None = None
    replayed: str | None = None
    not_reached: Annotated[list[NotReached], Field(exclude=True)] = Field(default_factory=list)
    new_names: Annotated[list[NewName], Field(exclude=True)] = Field(default_factory=list)
    waiting: Annotated[list[WaitingWake], Field(exclude=True)] = Field(default_factory=list)
    unused: Annotated[list[str], Field(exclude=True)] = Field(default_factory=list)

    def remembered(self) -> "Reply":
        """This reply as the room stores it for a repeated call, without what is shown only once."""
        return self


def always(arguments: Arguments) -> bool:
    """True for all arguments."""
    return True


A = TypeVar("A", bound=Arguments)
R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Act(Generic[A, R]):
    """Something that a member can do: one function of one write transaction.

    `shown_to_agents`: which agents see its tool, if fewer than may call it. People always see it.
    `while_paused`: a paused member may still call it. `repeats`: an equal call within a minute counts as the same
    call, even without a request id. `is_switch`: it stops members or lets them go on, so it overtakes all waiting acts,
    works while the disk is full, and is never refused for what it has to read (CTL9). `is_evidence`: whether its
    receipt shows that a model acts, and not only a program (PRS2); what a member says of itself alone does not.
    `address`: the argument that takes the address of a channel. The door keeps it outside the database first.
    `afterwards`: what follows in a transaction of its own, once the act is committed; a duty of the supervisor does it
    where this cannot. `shows_wakes`: its reply has the caller's wakes anyway.
    """

    name: str
    arguments: type[A]
    reply: type[R]
    run: Callable[[Writing, Caller, A], R]
    roles: Roles = WORKERS
    shown_to_agents: Roles | None = None
    while_paused: bool = False
    repeats: bool = False
    is_switch: bool = False
    is_evidence: Callable[[R], bool] = lambda reply: True
    afterwards: Callable[[Writing, Caller, A], None] | None = None
    shows_wakes: bool = False
    address: str = ""


@dataclass(frozen=True, slots=True)
class Read(Generic[A, R]):
    """Something that a member can look at: one function of one read snapshot.

    `shown_to_agents`: which agents see its tool, if fewer than may call it. People always see it.
    `is_small`: whether the arguments ask for a page that an index leads to, so that nothing is scanned.
    `after_read`: what is written after the read. The read succeeds even if that cannot be written.
    `narrow`: the fix of a read that takes too long: how to ask for less. `counts_refusals`: it shows how many calls
    were refused, so they are all written first. `is_shared`: its reply does not depend on the caller, so it is kept
    until the room changes, and for a second at most. Nobody may change such a reply.
    """

    name: str
    arguments: type[A]
    run: Callable[[Reading, Caller, A], R]
    roles: Roles = EVERYBODY
    shown_to_agents: Roles | None = None
    while_paused: bool = False
    is_small: Callable[[A], bool] = lambda arguments: False
    after_read: Callable[[Writing, Caller, A, R], None] | None = None
    narrow: str = "Ask for less: a smaller page, or one thing by its id."
    counts_refusals: bool = False
    is_shared: bool = False


def author(caller: Caller) -> Author:
    """The caller as the log names it."""
    return Author(caller.member, caller.owner)


AnyAct = Act[Any, Any]
AnyRead = Read[Any, Any]
