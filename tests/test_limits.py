"""Each limit: just within it is served, beyond it is refused in words, and nothing of it is kept (SAF3)."""

import json
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from teamroom.resources.room import RESOURCES
from teamroom.server.acts.act import LARGEST_NUMBER
from teamroom.server.settings import Settings
from teamroom.tools.serve import TOOLS
from tests.raw import (
    ENVELOPE,
    LEGACY,
    Answer,
    Modern,
    RoomInThread,
    Wire,
    message,
    modern_headers,
    posted,
    reply,
    room_in_thread,
)

DEFAULTS = Settings()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomInThread]:
    """A room with the limits that it has when nobody changes them."""
    with room_in_thread(tmp_path_factory.mktemp("limits") / "room", refusals_per_hour=1000) as served:
        served.enroll("bot", "rival")
        yield served
        assert served.log.lines == []


@pytest.fixture
def small(tmp_path: Path) -> Iterator[RoomInThread]:
    """A room whose limits are reached soon."""
    limits = {
        "open_calls": 8,
        "sessions": 10,
        "body_seconds": 1,
        "stall_seconds": 1,
        "queue_acts": 16,
        "wait_seconds": 1,
    }
    with room_in_thread(tmp_path / "room", **limits) as served:
        served.enroll("bot", "rival", "third")
        yield served
        assert served.log.lines == []


@pytest.fixture
def bot(room: RoomInThread) -> Iterator[Modern]:
    with room.modern("bot") as client:
        yield client


def refusal(answer: Answer) -> dict[str, Any]:
    """The refusal in an answer of the gate or of a tool."""
    said = answer.json
    body: dict[str, Any] = said["error"]["data"] if "error" in said else said["result"]["structuredContent"]
    assert body["why"]
    assert body["fix"]
    return body


def was_refused(answer: Answer) -> bool:
    return "error" in answer.json or bool(answer.json["result"].get("isError"))


# ------------------------------------------------------------------ the body


def test_the_limits_are_what_is_promised() -> None:
    assert (DEFAULTS.body_bytes, DEFAULTS.json_depth) == (256 * 1024, 32)
    assert (DEFAULTS.open_calls, DEFAULTS.wait_seconds, DEFAULTS.wait_max_seconds) == (64, 45, 50)


def body_of(size: int) -> bytes:
    """A call whose body has this many bytes, in an argument that is not known."""
    params = {"name": "who", "arguments": {"filler": ""}, "_meta": ENVELOPE}
    short = message("tools/call", params)
    return short.replace(b'"filler":""', b'"filler":"' + b"x" * (size - len(short)) + b'"')


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_256_kib_is_read_and_one_byte_more_is_not(room: RoomInThread, chunked: bool) -> None:
    for size, status in ((DEFAULTS.body_bytes, 200), (DEFAULTS.body_bytes + 1, 413)):
        body = body_of(size)
        assert len(body) == size
        data = posted(room.port, room.token("bot"), body, modern_headers("tools/call", "who"))
        if chunked:
            head = data[: -len(body)].replace(f"content-length: {size}".encode(), b"transfer-encoding: chunked")
            data = head + f"{size:x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        with room.wire() as wire:
            wire.send(data)
            answer = wire.answer()
        assert answer.status == status
        assert refusal(answer)["code"] == ("invalid" if status == 200 else "too_large")


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(room: RoomInThread) -> None:
    data = posted(room.port, room.token("bot"), b"", [("content-length", str(DEFAULTS.body_bytes + 1))])
    with room.wire() as wire:
        wire.send(data)
        assert wire.answer().status == 413


@pytest.mark.parametrize(("opening", "closing_"), [("[", "]"), ('{"a":', "}")])
def test_json_of_depth_32_is_read_and_of_depth_33_is_not(room: RoomInThread, opening: str, closing_: str) -> None:
    above = 3  # the message, its params, its arguments
    with room.modern("bot") as bot:
        for depth, code in ((DEFAULTS.json_depth, "invalid"), (DEFAULTS.json_depth + 1, "too_large")):
            levels = depth - above
            text = '{"deep":%s}' % (opening * levels + "1" + closing_ * levels)
            body = message("tools/call", {"name": "who", "arguments": None, "_meta": ENVELOPE})
            answer = bot.post(body.replace(b"null", text.encode(), 1), modern_headers("tools/call", "who"))
            assert refusal(answer)["code"] == code


def test_brackets_in_texts_are_no_depth(bot: Modern) -> None:
    for text in ("[" * 5000, '\\"[{' * 500, '"' + "[" * 100, "\\" * 99 + "[" * 100):
        assert reply(bot.call("post_message", {"text": text}))["message"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_depth_cannot_hide_in_another_encoding(room: RoomInThread, bot: Modern, encoding: str) -> None:
    """In UTF-16 a letter may hold the byte of a quote, so that brackets would look like text."""
    arguments = '{"a":"\u2200","b":' + "[" * 60 + "]" * 60 + "}"
    body = message("tools/call", {"name": "who", "arguments": None, "_meta": ENVELOPE}).decode()
    answer = bot.post(body.replace("null", arguments, 1).encode(encoding), modern_headers("tools/call", "who"))
    assert answer.status == 400
    assert refusal(answer)["code"] == "invalid"


def test_a_body_that_does_not_arrive_is_given_up(small: RoomInThread) -> None:
    data = posted(small.port, small.token("bot"), body_of(1000), modern_headers("tools/call", "who"))
    with small.wire() as slow, small.wire() as quick:
        slow.send(data[:-1])
        quick.send(data[:-1])
        quick.send(data[-1:])
        assert quick.answer().status == 200
        answer = slow.answer()
        assert (answer.status, refusal(answer)["code"]) == (408, "invalid")


# ------------------------------------------------------------------ calls, streams, sessions


def waiting_call(room: RoomInThread, name: str, seconds: float = 50) -> bytes:
    params = {"name": "wait_for_wake", "arguments": {"timeout_seconds": seconds}, "_meta": ENVELOPE}
    headers = modern_headers("tools/call", "wait_for_wake")
    return posted(room.port, room.token(name), message("tools/call", params), headers)


def answering(room: RoomInThread, count: int) -> None:
    """Wait until this many requests are being answered."""
    end = time.monotonic() + 10
    while room.look(lambda _: sum(room.connections._answering.values())) != count:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_member_has_64_calls_open_and_no_more(room: RoomInThread) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(room.wire()) for _ in range(DEFAULTS.open_calls)]
        for wire in wires:
            wire.send(waiting_call(room, "bot"))
        answering(room, DEFAULTS.open_calls)
        one_more = stack.enter_context(room.wire())
        one_more.send(waiting_call(room, "bot", 0))
        answer = one_more.answer()
        assert (answer.status, refusal(answer)["code"]) == (429, "rate_limited")
        assert answer.headers["retry-after"]
        with room.modern("rival") as rival:
            assert reply(rival.call("heartbeat", {}))["standing"] == "active", "others are not concerned"
        wires[0].socket.close()
        answering(room, DEFAULTS.open_calls - 1)
        one_more.send(waiting_call(room, "bot", 0))
        assert one_more.answer().status == 200, "one went, one comes"
    answering(room, 0)


def test_calls_that_are_still_being_sent_count_as_open(small: RoomInThread) -> None:
    """Otherwise any number could send their last byte at once, all of them after the check."""
    data = waiting_call(small, "bot", 0.5)
    limit = 8
    with ExitStack() as stack:
        wires = [stack.enter_context(small.wire()) for _ in range(2 * limit)]
        for wire in wires:
            wire.send(data[:-1])
        answering(small, limit)
        for wire in wires:
            wire.send(data[-1:])
        statuses = sorted(wire.answer().status for wire in wires)
    assert statuses == [200] * limit + [429] * limit


def test_streams_of_older_clients_count_as_open(small: RoomInThread) -> None:
    with ExitStack() as stack:
        for streams in range(8):
            session = stack.enter_context(small.legacy("rival"))
            answering(small, streams)
            session._wire.send(get_stream(small, "rival", session.session))
        answering(small, 8)
        answer = stack.enter_context(small.modern("rival")).call("who", {})
        assert (answer.status, refusal(answer)["code"]) == (429, "rate_limited")
        with small.modern("olga") as olga:
            reply(olga.call("pause", {"target": "rival", "reason": "let the streams end"}))
            answering(small, 0)
            reply(olga.call("resume", {"target": "rival", "reason": "test"}))


def get_stream(room: RoomInThread, name: str, session: list[tuple[str, str]]) -> bytes:
    headers = {"host": f"127.0.0.1:{room.port}", "authorization": f"Bearer {room.token(name)}", **dict(session)}
    lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    return f"GET /mcp HTTP/1.1\r\n{lines}accept: text/event-stream\r\n\r\n".encode()


def test_older_clients_have_as_many_sessions_as_there_may_be(small: RoomInThread) -> None:
    params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}
    with ExitStack() as stack:
        sessions = [stack.enter_context(small.legacy("bot")) for _ in range(10)]
        with small.wire() as wire:
            wire.send(posted(small.port, small.token("rival"), message("initialize", params)))
            answer = wire.answer()
        assert answer.status == 429, "a limit is the callers' load, never a 5xx"
        assert "Too many open sessions" in answer.json["error"]["message"]
        with small.modern("rival") as modern:
            assert modern.call("who", {}).status == 200, "who needs no session is not concerned"
        sessions[0].close()
        stack.enter_context(small.legacy("rival"))


@pytest.mark.parametrize(("seconds", "code"), [(50, None), (50.01, "invalid"), (1e9, "invalid"), (-1, "invalid")])
def test_a_call_waits_for_50_seconds_at_most(small: RoomInThread, seconds: float, code: str | None) -> None:
    with small.wire() as wire:
        wire.send(waiting_call(small, "bot", seconds))
        if code is not None:
            assert refusal(wire.answer())["code"] == code
            return
        small.until_waiting()
        with small.modern("rival") as rival:
            reply(rival.call("post_message", {"text": "@bot wake up"}))
        assert reply(wire.answer())["wakes"]


def test_a_call_that_names_no_time_waits_as_long_as_the_room_says(small: RoomInThread) -> None:
    with small.modern("bot") as bot:
        start = time.monotonic()
        assert reply(bot.call("wait_for_wake", {}))["wakes"] == []
        assert 0.9 < time.monotonic() - start < 3


def test_no_call_waits_longer_than_the_room_allows(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room", wait_max_seconds=1) as room, room.modern("olga") as olga:
        start = time.monotonic()
        assert reply(olga.call("wait_for_wake", {"timeout_seconds": 50}))["wakes"] == []
        assert 0.9 < time.monotonic() - start < 3


# ------------------------------------------------------------------ the queue of the writer


class HeldWriter:
    """The room's writer, held inside an act until it is let go."""

    def __init__(self, room: RoomInThread) -> None:
        self._room, self._go, self._holds = room, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=room.run, args=(self._hold,))

    async def _hold(self) -> None:
        def work(_: Any) -> None:
            self._holds.set()
            self._go.wait(10)

        def recover(_: Any, error: Exception) -> None:
            raise error

        await self._room.running.room.store.write(work, recover)

    def __enter__(self) -> "HeldWriter":
        self._thread.start()
        assert self._holds.wait(10)
        return self

    def let_go(self) -> None:
        self._go.set()

    def __exit__(self, *_: object) -> None:
        self._go.set()
        self._thread.join()


def full_queue(room: RoomInThread, stack: ExitStack) -> list[Wire]:
    """Send 24 acts while the writer is held; returns the connections whose acts wait, once the others were refused."""
    wires = [stack.enter_context(room.wire()) for _ in range(24)]
    for i, wire in enumerate(wires):
        token = room.token(("bot", "rival", "third")[i % 3])
        params = {"name": "post_message", "arguments": {"text": f"number {i}"}, "_meta": ENVELOPE}
        wire.send(posted(room.port, token, message("tools/call", params), modern_headers("tools/call", "post_message")))
    refused: list[Wire] = []
    while len(refused) < 24 - 16:
        ready = select.select([wire.socket for wire in wires if wire not in refused], [], [], 10)[0]
        assert ready, "nobody was refused"
        for wire in [wire for wire in wires if wire.socket in ready]:
            busy = refusal(wire.answer())
            assert (busy["code"], busy["retry_after_seconds"], busy["receipt"]) == ("busy", 1, None)
            refused.append(wire)
    return [wire for wire in wires if wire not in refused]


def test_more_acts_than_may_wait_are_refused_as_busy(small: RoomInThread) -> None:
    """As many as may wait are carried out; more are refused at once, leave nothing, and are carried out later."""
    with HeldWriter(small) as writer, small.modern("olga") as olga, ExitStack() as stack:
        waiting = full_queue(small, stack)
        assert refusal(olga.call("post_message", {"text": "one too many"}))["code"] == "busy"
        writer.let_go()
        answers = [wire.answer() for wire in waiting]
        carried_out = {reply(answer)["message"] for answer in answers if not was_refused(answer)}
        assert len(carried_out) in (15, 16), "the act that holds the writer may count as one"
        assert reply(olga.call("post_message", {"text": "one too many"}))["message"]
    lines = small.look(lambda running: [entry["summary"] for entry in running.entries()])
    assert len([line for line in lines if "number" in line]) == len(carried_out)
    assert len([line for line in lines if "one too many" in line]) == 1


def test_reads_go_on_while_the_writer_is_busy(small: RoomInThread) -> None:
    with HeldWriter(small), ExitStack() as stack:
        full_queue(small, stack)
        small.running.time.forward(60)
        with small.modern("olga") as olga:
            assert not was_refused(olga.call("who", {}))


# ------------------------------------------------------------------ every field of every argument


TOOL_OF = {tool.arguments.__name__: name for name, tool in TOOLS.items()}
MODELS: dict[str, type[BaseModel]] = {
    model.__name__: model for model in [*(t.arguments for t in TOOLS.values()), *(r.reads.arguments for r in RESOURCES)]
}
"""The arguments of everything that can be called or read."""


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, list[Any]]]:
    """Each field of a model and of the models in it: where it is, its type, and its constraints."""
    for name, field in model.model_fields.items():
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
    "task": "T-1",
    "offer": "O-1",
    "fence": 1,
    "to": "rival",
    "target": "nobody",
    "name": "newcomer",
    "verdict": "accept",
    "accept": False,
    "seq": 1,
}
"""A value for every argument that a tool cannot do without."""

ITEM: dict[str, Any] = {**NESTED, "depends_on": "T-1", "ids": "M-1", "to": "rival"}


def put(path: tuple[str, ...], value: Any) -> Any:
    """A value where its field stands, with what its neighbours need."""
    if not path:
        return value
    if path[0] == "*":
        return [put(path[1:], value)]
    inner = put(path[1:], value)
    if path[1:2] == ("*",) and path[2:]:
        inner = [{**NESTED[path[0]], **inner[0]}]
    return {path[0]: inner}


def arguments_with(where: str, path: tuple[str, ...], value: Any) -> dict[str, Any]:
    required = [name for name, field in MODELS[where].model_fields.items() if field.is_required()]
    return {**{name: REQUIRED[name] for name in required}, **put(path, value)}


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
def test_a_text_or_list_of_the_largest_size_is_taken_and_one_more_is_not(room: RoomInThread, field: str) -> None:
    where, path, kind, _ = FIELDS[field]
    with room.modern("olga") as olga:
        for size, fits in ((SIZED[field], True), (SIZED[field] + 1, False)):
            value: Any = "x" * size if kind is str else [ITEM.get(path[-1], f"a{i}") for i in range(size)]
            answer = olga.call(TOOL_OF[where], arguments_with(where, path, value))
            assert answer.status == 200
            too_large = was_refused(answer) and refusal(answer)["code"] == "too_large"
            assert too_large is not fits, answer.body[:300]
            assert fits or refusal(answer)["receipt"] is None


@pytest.mark.parametrize("field", [name for name, (_, _, kind, _) in FIELDS.items() if kind in (int, float)])
def test_a_number_at_its_bound_is_taken_and_beyond_it_is_not(field: str) -> None:
    where, path, _, constraints = FIELDS[field]
    largest = bound(constraints, "le")
    MODELS[where].model_validate(arguments_with(where, path, largest))
    smallest = bound(constraints, "ge")
    below = [smallest - 1] if smallest is not None else [bound(constraints, "gt"), -1]
    for wrong in (largest + 1, *below, float("inf"), float("nan"), 10**400, "1e400"):
        with pytest.raises(ValidationError):
            MODELS[where].model_validate(arguments_with(where, path, wrong))


@pytest.mark.parametrize("field", [name for name, (_, _, kind, _) in FIELDS.items() if kind is str])
def test_no_text_field_takes_control_characters(field: str) -> None:
    where, path, _, _ = FIELDS[field]
    for character in ("\x00", "\x1b", "\x9b", "\u202e", "\u2066"):
        with pytest.raises(ValidationError):
            MODELS[where].model_validate(arguments_with(where, path, f"a{character}b"))


# ------------------------------------------------------------------ pages


def test_every_page_is_bounded_and_the_next_goes_on_where_it_ends(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room", batch_seconds=0) as room, room.modern("olga") as olga:
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


def test_a_roster_full_of_capabilities_is_told_in_pages_that_fit(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room", batch_seconds=0) as room, room.modern("olga") as olga:
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
