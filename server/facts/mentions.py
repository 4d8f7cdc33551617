"""Names that an act gives: which members its texts reach, and what its author is told of other and of former names."""

from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Any, get_args

from pydantic import BaseModel, Field

from teamroom.server.facts.member import facts_named, near_names
from teamroom.server.identity import Caller
from teamroom.server.rules.mentions import Mention, find_mentions, may_mention
from teamroom.server.rules.names import AT, WHOLE_ROOM, normalize_name
from teamroom.server.store.rows.members import MemberFacts, MemberRow, Renamed
from teamroom.server.store.transaction import Reading, Writing

NAMED = 5
"""How many mentions that reach nobody a reply names."""


class Prose:
    """Marks the type of an argument that people read, so that it can mention members."""


PROSE = Prose()


class NameOfMember:
    """Marks the type of an argument that names a member."""


NAMES_MEMBER = NameOfMember()


class NotReached(BaseModel):
    """A mention that wakes nobody, why, and the members that it may mean."""

    name: str
    why: str
    near: list[str] = Field(default_factory=list)


class NewName(BaseModel):
    """A former name that an act gave, and the name of that member now."""

    name: str
    now: str


def mentioned_member(tx: Reading, mention: Mention) -> MemberFacts | None:
    """The member that a mention names; None if there is none."""
    return next((row for name in mention.spellings if (row := facts_named(tx, name)) is not None), None)


def list_not_reached(tx: Writing, caller: Caller, arguments: BaseModel, reply: BaseModel) -> list[NotReached]:
    """The mentions in the texts of an act that wake nobody, and words for everybody among its addressees."""
    texts = list(filter(may_mention, _values(arguments, PROSE)))
    named = vars(arguments).get("to")
    everybody = [Mention(name) for name in named if normalize_name(name) in WHOLE_ROOM] if type(named) is list else []
    if not texts and not everybody:
        return []
    forecasts = vars(reply).get("forecast", ())
    reached = {normalize_name(name) for name in (*(one.to for one in forecasts), caller.name)}
    found: dict[str, NotReached] = {}
    for mention in chain(everybody, *map(find_mentions, texts)):
        if len(found) == NAMED:
            break
        told = _not_reached(tx, mention, reached)
        if told is not None:
            found.setdefault(told.name, told)
    return list(found.values())


def list_new_names(tx: Writing, arguments: BaseModel) -> list[NewName]:
    """The former names among the arguments and in the texts of an act, each with the name of its member now."""
    if not tx.principal.has_former_names:
        return []
    texts = list(filter(may_mention, _values(arguments, PROSE)))
    named = [name.removeprefix("owner:").lstrip(AT) for name in _values(arguments, NAMES_MEMBER)]
    mentioned = (name for text in texts for mention in find_mentions(text) for name in mention.spellings)
    found: dict[str, NewName] = {}
    for name in dict.fromkeys(map(normalize_name, chain(named, mentioned))):
        row = tx.one(Renamed, "new_name", name=name)
        if row is not None:
            found.setdefault(row.now, NewName(name=row.name, now=row.now))
        if len(found) == NAMED:
            break
    return list(found.values())


def _not_reached(tx: Writing, mention: Mention, reached: set[str]) -> NotReached | None:
    """What to say of a mention; None if it reaches a member, or may be none."""
    if normalize_name(mention.name) in WHOLE_ROOM:
        return NotReached(name=mention.name, why="it stands for all members, who read the stream when they look")
    names = list(map(normalize_name, mention.spellings))
    if not reached.isdisjoint(names):
        return None
    row = next((row for name in names if (row := tx.one(MemberRow, "member_by_name", name=name)) is not None), None)
    if row is None or row.kind == "room":
        near = [] if mention.is_doubtful else near_names(tx, mention.name)
        return None if mention.is_doubtful else NotReached(name=mention.name, why="no member has this name", near=near)
    if row.id in tx.effects.woken:
        return None
    return NotReached(name=row.name, why="only the text of post_message wakes the members that it mentions")


def prose_fields(model: type[BaseModel]) -> tuple[tuple[str, bool], ...]:
    """The fields of a model that are prose (False), and those that are models with such fields (True)."""
    return marked_fields(model, PROSE)


@cache
def marked_fields(model: type[BaseModel], mark: object) -> tuple[tuple[str, bool], ...]:
    """The fields of a model with a mark (False), and those that are models with such fields (True)."""
    fields = []
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if inner is not None:
            fields += [(name, True)] if marked_fields(inner, mark) else []
        elif mark in (*field.metadata, *(own for kind in kinds for own in _marks(kind))):
            fields.append((name, False))
    return tuple(fields)


def _values(arguments: BaseModel, mark: object) -> Iterator[str]:
    """The texts of an act with a mark, those inside of others and of lists too."""
    for name, inner in marked_fields(type(arguments), mark):
        value = getattr(arguments, name)
        if inner and isinstance(value, BaseModel):
            yield from _values(value, mark)
        elif not inner and value is not None:
            yield from value if isinstance(value, list) else [value]


def _marks(kind: Any) -> tuple[Any, ...]:
    """The marks of a type, or of what a list of it holds."""
    return (*getattr(kind, "__metadata__", ()), *(mark for inner in get_args(kind)[:1] for mark in _marks(inner)))
