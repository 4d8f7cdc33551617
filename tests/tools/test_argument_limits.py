"""Every field of every argument has a limit, and every page a bound: just within is taken, beyond is refused (SAF3)."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from teamroom.resources.room import RESOURCES
from teamroom.server.acts.act import ID_CHARACTERS
from teamroom.server.facts.ids import (
    LARGEST_NUMBER,
    AuthorizationNumber,
    DecisionNumber,
    MessageNumber,
    OfferNumber,
    TaskNumber,
)
from teamroom.server.facts.mentions import PROSE
from teamroom.server.refusals import Refusal
from teamroom.server.rules.addresses import ADDRESS_CHARACTERS, Address
from teamroom.server.rules.text import TEXT_CHARACTERS
from teamroom.tools.arguments import fields_of, read_arguments
from teamroom.tools.serve import KNOWN, TOOLS
from tests.support.promises import promise
from tests.support.rates import LIMITLESS
from tests.support.raw import Modern, Raw, refusal, reply, was_refused
from tests.support.room_in_thread import RoomInThread, room_in_thread

pytestmark = promise("SAF3")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomInThread]:
    with room_in_thread(tmp_path_factory.mktemp("arguments") / "room", refusals_per_hour=1000, **LIMITLESS) as served:
        served.enroll("bot", "rival")
        yield served
        assert served.log.lines == []


@pytest.fixture
def bot(room: RoomInThread) -> Iterator[Modern]:
    with room.modern("bot") as client:
        yield client


# ------------------------------------------------------------------ every field of every argument


TOOL_OF = {tool.arguments.__name__: name for name, tool in TOOLS.items()}
MODELS: dict[str, type[BaseModel]] = {
    model.__name__: model for model in [*(t.arguments for t in TOOLS.values()), *(r.reads.arguments for r in RESOURCES)]
}
"""The arguments of everything that can be called or read."""


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, list[Any]]]:
    """Each field of a model and of the models in it: where it is, its type, and its constraints."""
    for name, field in fields_of(model).items():
        yield from _leaves(field.annotation, list(field.metadata), (*path, name))


def _leaves(
    kind: Any, constraints: list[Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any, list[Any]]]:
    if hasattr(kind, "__metadata__"):
        more = [m for item in kind.__metadata__ for m in (item.metadata if isinstance(item, FieldInfo) else [item])]
        yield from _leaves(kind.__origin__, [*more, *constraints], path)
    elif get_origin(kind) is list:
        yield path, list, constraints
        yield from _leaves(get_args(kind)[0], [], (*path, "*"))
    elif get_origin(kind) is not None and get_origin(kind) is not Literal:
        for option in get_args(kind):
            if option is not type(None):
                yield from _leaves(option, constraints, path)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from leaves(kind, path)
    else:
        yield path, kind, constraints


FIELDS = {
    f"{where}.{'.'.join(path)}": (where, path, kind, constraints)
    for where, model in MODELS.items()
    for path, kind, constraints in leaves(model)
}


IDS: dict[Any, str] = {
    TaskNumber: "T-",
    MessageNumber: "M-",
    OfferNumber: "O-",
    DecisionNumber: "D-",
    AuthorizationNumber: "A-",
}
"""The ids, which are written as texts and used as numbers, and how each begins."""


def is_refused(field: str, value: Any) -> bool:
    """Whether a field does not take a value."""
    where, path, _, _ = FIELDS[field]
    try:
        MODELS[where].model_validate(arguments_with(where, path, value))
    except ValidationError:
        return True
    return False


def bound(constraints: list[Any], name: str) -> Any:
    return min((getattr(c, name) for c in constraints if getattr(c, name, None) is not None), default=None)


def pattern(constraints: list[Any]) -> str:
    return next((c.pattern for c in constraints if getattr(c, "pattern", None)), "")


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_has_a_limit(field: str) -> None:
    _, _, kind, constraints = FIELDS[field]
    if kind is str:
        said = pattern(constraints)
        is_bounded = said.startswith("^") and said.endswith("$") and not set("*+") & set(said)
        assert is_bounded or bound(constraints, "max_length") <= 16_000
    elif kind is list:
        assert bound(constraints, "max_length") <= 50
    elif kind in (int, float):
        assert bound(constraints, "le") <= LARGEST_NUMBER
        assert any(bound(constraints, side) is not None for side in ("ge", "gt"))
    elif kind is Address:
        assert is_refused(field, "x" * (ADDRESS_CHARACTERS + 1))
    elif kind in IDS:
        assert is_refused(field, IDS[kind] + "1" * ID_CHARACTERS)
    else:
        assert kind is bool or get_origin(kind) is Literal, f"a field of a kind that this test does not know: {kind}"


NESTED: dict[str, Any] = {
    "evidence": {"kind": "test", "ref": "a"},
    "artifacts": {"ref": "a"},
    "proofs": {"ref": "a", "value": "a"},
    "changes": {},
}
REQUIRED: dict[str, Any] = {
    **dict.fromkeys(("text", "title", "note", "summary", "reason"), "a"),
    "evidence": [],
    "capabilities": [],
    "capability": "a",
    "task": "T-1",
    "offer": "O-1",
    "decision": "D-1",
    "option": "yes",
    "scope": "deploy:x",
    "fence": 1,
    "to": "rival",
    "target": "nobody",
    "name": "newcomer",
    "verdict": "accept",
    "accept": False,
    "external": "a",
    "seq": 1,
}
"""A value for every argument that a tool cannot do without."""

ITEM: dict[str, Any] = {**NESTED, "depends_on": "T-1", "ids": "M-1", "to": "rival"}


def put(where: str, path: tuple[str, ...], value: Any) -> Any:
    """A value where its field stands, with what its neighbours need."""
    if not path:
        return value
    if path[0] == "*":
        return [put(where, path[1:], value)]
    inner = put(where, path[1:], value)
    if path[1:2] == ("*",) and path[2:]:
        inner = [{**neighbours(where, path[0]), **inner[0]}]
    return {path[0]: inner}


def neighbours(where: str, name: str) -> dict[str, Any]:
    """What each item of a list of objects needs."""
    return {"value": "a", "capability": "a"} if (where, name) == ("DeclareCapabilities", "proofs") else NESTED[name]


def arguments_with(where: str, path: tuple[str, ...], value: Any) -> dict[str, Any]:
    required = [name for name, field in fields_of(MODELS[where]).items() if field.is_required()]
    return {**{name: REQUIRED[name] for name in required}, **put(where, path, value)}


SHAPED = ("task", "depends_on", "mode")
"""Texts that have a form of their own, of which a long one is as wrong as a short one."""

SIZED = {
    name: bound(constraints, "max_length")
    for name, (where, path, kind, constraints) in FIELDS.items()
    if where in TOOL_OF
    and bound(constraints, "max_length") is not None
    and not (kind is str and set(path) & set(SHAPED))
}


@pytest.mark.parametrize("field", SIZED)
def test_a_text_or_list_of_the_largest_size_is_accepted_and_a_larger_one_is_refused(
    room: RoomInThread, field: str
) -> None:
    where, path, kind, _ = FIELDS[field]
    with room.modern("olga") as olga:
        for size, fits in ((SIZED[field], True), (SIZED[field] + 1, False)):
            item = neighbours(where, path[-1]) if path[-1] == "proofs" else ITEM.get(path[-1])
            value: Any = "x" * size if kind is str else [item or f"a{i}" for i in range(size)]
            answer = olga.call(TOOL_OF[where], arguments_with(where, path, value))
            assert answer.status == 200
            too_large = was_refused(answer) and refusal(answer)["code"] == "too_large"
            assert too_large is not fits, answer.body[:300]
            assert fits or refusal(answer)["receipt"] is None


@pytest.mark.parametrize("field", [name for name, (_, _, kind, _) in FIELDS.items() if kind in (int, float)])
def test_a_number_at_its_bound_is_accepted_and_one_beyond_it_is_refused(field: str) -> None:
    where, path, _, constraints = FIELDS[field]
    largest = bound(constraints, "le")
    MODELS[where].model_validate(arguments_with(where, path, largest))
    smallest = bound(constraints, "ge")
    below = [smallest - 1] if smallest is not None else [bound(constraints, "gt"), -1]
    for wrong in (largest + 1, *below, float("inf"), float("nan"), 10**400, "1e400"):
        assert is_refused(field, wrong)


NUMBERS = [name for name, (where, _, kind, _) in FIELDS.items() if kind in (int, float) and where in TOOL_OF]


@pytest.mark.parametrize("field", NUMBERS)
def test_what_is_no_finite_number_is_refused_for_that_and_nothing_else(room: RoomInThread, field: str) -> None:
    where, path, _, _ = FIELDS[field]
    with room.modern("olga") as olga:
        for number in ("NaN", "Infinity", "-Infinity"):
            answer = olga.call(TOOL_OF[where], arguments_with(where, path, Raw(number)))
            assert f"{path[-1]}: must be a finite number" in refusal(answer)["why"], answer.body[:300]


TEXT_FIELDS = [name for name, (_, _, _, limits) in FIELDS.items() if bound(limits, "max_length") == TEXT_CHARACTERS]
"""The fields that take whole texts; all others take one line."""


@promise("SAF8")
@pytest.mark.parametrize(
    "field", [n for n, (_, _, kind, _) in FIELDS.items() if (kind is str or kind in IDS) and n not in TEXT_FIELDS]
)
def test_names_and_fields_of_one_line_refuse_what_steers_or_hides(field: str) -> None:
    for character in ("\x00", "\x1b", "\x9b", "\u202e", "\u2066", "\u200b", "\U000e0041", "\ud800"):
        assert is_refused(field, f"a{character}b")
        assert is_refused(field, f"{IDS.get(FIELDS[field][2], '')}1{character}")


@promise("SAF8")
@pytest.mark.parametrize("field", TEXT_FIELDS)
def test_texts_lose_what_steers_or_hides_and_are_refused_if_nothing_is_left(field: str) -> None:
    where, path, _, _ = FIELDS[field]
    sent = arguments_with(where, path, "a\x1b[31mb\u202e\u200b\ud800c")
    understood = read_arguments(TOOLS[TOOL_OF[where]], sent, "olga", KNOWN)
    kept: Any = understood.arguments
    for name in path:
        kept = getattr(kept, name)
    assert kept == "abc"
    assert sum(understood.removed.values()) == 4
    for nothing in ("\x1b[0m", "\u200b \u2028\n"):
        assert is_refused(field, nothing)
    assert is_refused(field, "x" * (TEXT_CHARACTERS + 1))
    assert not is_refused(field, "\x1b[1m" * 1_000 + "x" * TEXT_CHARACTERS), "the limit is that of what is kept"


IN_PARTS = [name for name in SIZED if PROSE in FIELDS[name][3]]


@promise("SAF8")
@pytest.mark.parametrize("field", IN_PARTS)
def test_the_fix_of_a_text_that_is_too_long_says_how_to_send_it(field: str) -> None:
    where, path, _, _ = FIELDS[field]
    sent = arguments_with(where, path, "x" * (SIZED[field] + 1))
    with pytest.raises(Refusal) as caught:
        read_arguments(TOOLS[TOOL_OF[where]], sent, "olga", KNOWN)
    assert caught.value.code == "too_large"
    for words in (f"Call {TOOL_OF[where]} with ", "in parts", "reply_to", "a file", "SHA-256"):
        assert words in caught.value.fix


# ------------------------------------------------------------------ pages


def test_every_page_is_bounded_and_the_next_continues_where_it_ends(tmp_path: Path) -> None:
    many = {"batch_seconds": 0, "wakes_from_one": 1000}
    with room_in_thread(tmp_path / "room", **many, **LIMITLESS) as room, room.modern("olga") as olga:
        room.enroll(*(f"bot-{i}" for i in range(101)))
        for i in range(101):
            reply(olga.call("create_task", {"title": f"task {i}"}))
            reply(olga.call("post_message", {"text": f"@bot-0 message {i}"}))

        boards = pages(lambda after: reply(olga.call("read_board", after)), "next")
        assert [len(board["tasks"]) for board in boards] == [50, 50, 1]
        assert len({task["task"] for board in boards for task in board["tasks"]}) == 101

        rosters = pages(lambda after: reply(olga.call("who", after)), "next")
        assert [len(roster["members"]) for roster in rosters] == [100, 2]

        receipts = reply(olga.call("read_receipts", {"limit": 100, "after": 0}))
        assert [r["seq"] for r in receipts["receipts"]] == list(range(1, 101))
        assert receipts["cursor"] == 100

        first = reply(olga.call("read_messages", {"limit": 50, "after": 0}))
        rest = reply(olga.call("read_messages", {"limit": 50, "after": first["cursor"]}))
        assert [m["id"] for m in [*first["messages"], *rest["messages"]]] == [f"M-{i}" for i in range(1, 101)]

        stream = json.loads(olga.read("teamroom://stream/0").json["result"]["contents"][1]["text"])
        assert [entry["seq"] for entry in stream["entries"]] == list(range(1, 51))

        with room.modern("bot-0") as bot:
            wakes = pages(lambda after: reply(bot.call("check_in", after)), "cursor", enough=3)
        assert [len(page["wakes"]) for page in wakes] == [50, 50, 1]
        assert len({wake["seq"] for page in wakes for wake in page["wakes"]}) == 101


def test_a_roster_full_of_capabilities_is_returned_in_pages_that_fit(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room", batch_seconds=0, **LIMITLESS) as room, room.modern("olga") as olga:
        room.enroll(*(f"bot-{i}" for i in range(8)))
        for i in range(8):
            with room.modern(f"bot-{i}") as bot:
                reply(bot.call("declare_capabilities", {"capabilities": [f"repo:{n:0115}" for n in range(50)]}))
        rosters = pages(lambda after: reply(olga.call("who", after)), "next")
        assert sum(len(roster["members"]) for roster in rosters) == 9
        assert max(len(json.dumps(roster)) for roster in rosters) < 40_000


def test_a_long_note_of_an_offer_is_cut_in_lists_and_whole_on_the_task(room: RoomInThread, bot: Modern) -> None:
    note = "n" * 16_000
    with room.modern("olga") as olga:
        task = reply(olga.call("create_task", {"title": "a note"}))["task"]
        fence = reply(olga.call("claim_task", {"task": task}))["fence"]
        reply(olga.call("hand_off", {"task": task, "fence": fence, "to": "bot", "note": note}))
        shown = next(o for o in reply(bot.call("check_in", {}))["offers"] if o["task"] == task)
        assert len(shown["note"]) == 1_000
        assert note in json.dumps(reply(olga.call("read_board", {"task": task})))


def pages(ask: Callable[[dict[str, Any]], dict[str, Any]], cursor: str, enough: int = 10) -> list[dict[str, Any]]:
    """Page after page, until there is no next."""
    found = [ask({})]
    while found[-1][cursor] is not None and len(found) < enough:
        found.append(ask({"after": found[-1][cursor]}))
    return found


@pytest.mark.parametrize("tool", ["read_messages", "read_receipts"])
def test_a_page_larger_than_the_bound_is_refused(bot: Modern, room: RoomInThread, tool: str) -> None:
    largest = bound(FIELDS[f"{TOOLS[tool].arguments.__name__}.limit"][3], "le")
    with room.modern("olga") as olga:
        assert reply(olga.call(tool, {"limit": largest}))
        for wrong in (largest + 1, 0, -1, 2**53):
            assert refusal(olga.call(tool, {"limit": wrong}))["code"] == "invalid"
