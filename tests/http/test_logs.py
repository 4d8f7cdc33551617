"""The server's own log: what an operator looks for, without a token and without a text of a member."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from mcp.shared.exceptions import MCPError

from teamroom.server import logs
from teamroom.server.acts.messages.messages import POST_MESSAGE
from tests.support.promises import promise
from tests.support.rooms import RunningRoom

pytestmark = promise("ID4")


@pytest.fixture(params=["plain", "json"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the server writes, in each format, down to the least weight."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(request.param, "debug")
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_stops_and_refusals_at_the_gate_are_logged(written: io.StringIO, room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("agent")
    await owner("pause", target="agent", reason="a private reason")
    await owner("resume", target="agent", reason="a private reason")
    await owner("pause", target="room", reason="a private reason", for_seconds=1)
    await owner("enroll", name="agent", rotate=True)
    await owner("kill", target="agent", reason="a private reason")
    for _ in range(5):
        await room.raw(headers={"Authorization": "Bearer tr_" + "0" * 64})
    text = written.getvalue()
    for line in (
        "@agent: paused",
        "@agent: active",
        "the room: paused",
        "@agent: killed",
        "was revoked",
        "request rejected with 401",
    ):
        assert line in text, line
    assert text.count("request rejected with 401") == 1, "once a minute for each reason"
    assert "private" not in text


async def test_logs_contain_nothing_that_members_send(written: io.StringIO, room: RunningRoom) -> None:
    (agent,) = await room.enroll("agent")
    await agent("post_message", text="a secret text")
    await agent.refused("read_board", task="a secret task")
    await agent.refused("no_secret_tool")
    await room.raw("GET", f"/secret/{room.owner_token}")
    await room.raw(content=b'{"secret": 1', headers={"Authorization": f"Bearer {room.owner_token}"})
    text = written.getvalue()
    assert "secret" not in text
    assert room.owner_token not in text
    assert room.tokens["agent"] not in text


async def test_a_fault_is_reported_with_an_id_that_is_in_the_log(
    written: io.StringIO, room: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    (agent,) = await room.enroll("agent")

    def broken(*_: object) -> None:
        raise RuntimeError(f"a fault that names {room.tokens['agent']}")

    monkeypatch.setattr(type(POST_MESSAGE), "run", property(lambda self: broken))
    with pytest.raises(MCPError) as told:
        await agent("post_message", text="hello")
    id_ = told.value.error.message.partition("(fault ")[2][:8]
    text = written.getvalue()
    assert f"fault {id_}" in text
    assert "RuntimeError" in text
    assert "RuntimeError" not in told.value.error.message
    assert room.tokens["agent"] not in text


def test_logs_in_json_have_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("teamroom", logging.INFO, __file__, 1, "two\nlines %s", ("Bearer abc",), None)
    event = json.loads(logs.Json().format(record))
    assert (event["level"], event["event"]) == ("info", "two\nlines Bearer …")
    assert "\n" not in logs.Json().format(record)
    assert logs.Plain().format(record).splitlines()[1].startswith("  "), "no line of a log forges another"


def lines_of(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


@promise("SAF11")
def test_one_kind_of_line_is_written_so_often_a_minute_and_others_as_before() -> None:
    stream = io.StringIO()
    bounded = logging.StreamHandler(stream)
    bounded.setFormatter(logs.Plain())
    bounded.addFilter(logs.Bounded(lambda: 1000.0))
    logger = logging.Logger("somebody")
    logger.addHandler(bounded)
    for number in range(10_000):
        logger.warning("a stranger came: %d", number)
    logger.warning("something else")
    assert len(lines_of(stream)) == logs.LINES_OF_KIND + 1
    assert "further ones are left out for a minute" in lines_of(stream)[-2]
    assert lines_of(stream)[-1].endswith("something else")


@promise("SAF11")
@pytest.mark.parametrize("form", [logs.Plain(), logs.Json()], ids=["plain", "json"])
def test_the_first_line_of_a_kind_after_a_minute_says_how_many_were_left_out(form: logging.Formatter) -> None:
    stream, now = io.StringIO(), 1000.0
    bounded = logging.StreamHandler(stream)
    bounded.setFormatter(form)
    bounded.addFilter(logs.Bounded(lambda: now))
    logger = logging.Logger("somebody")
    logger.addHandler(bounded)
    for number in range(101):
        if number == 100:
            now += logs.WINDOW_SECONDS
        logger.warning("a stranger came")
    assert len(lines_of(stream)) == logs.LINES_OF_KIND + 1
    assert f"({100 - logs.LINES_OF_KIND} lines like this one were left out before it)" in lines_of(stream)[-1]


@promise("SAF11")
def test_all_kinds_of_lines_together_are_bounded_and_each_line_in_its_length() -> None:
    stream = io.StringIO()
    bounded = logging.StreamHandler(stream)
    bounded.setFormatter(logs.Plain())
    bounded.addFilter(logs.Bounded(lambda: 1000.0))
    for place in range(2 * logs.LINES):
        record = logging.LogRecord("x", logging.ERROR, "somewhere.py", place, "x" * 10 * logs.LINE_CHARACTERS, (), None)
        bounded.handle(record)
    assert len(lines_of(stream)) == logs.LINES
    assert max(map(len, lines_of(stream))) < 2 * logs.LINE_CHARACTERS


def test_without_the_filter_a_token_would_be_found() -> None:
    token = "tr_" + "ab" * 32
    record = logging.LogRecord("teamroom", logging.INFO, __file__, 1, f"here is {token}", (), None)
    assert token in logging.Formatter().format(record)
    assert token not in logs.Plain().format(record)
