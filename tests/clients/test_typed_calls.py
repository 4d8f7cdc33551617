"""The typed calls of the Python client: a method for each tool as it is in this release, and a light import."""

import inspect
import json
import keyword
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NotRequired

import pytest

from teamroom import client
from teamroom.client import Room, shapes
from teamroom.clients.session.tools import Tools
from teamroom.tools.arguments import fields_of
from teamroom.tools.serve import TOOLS
from tests.support import client_module
from tests.support.promises import house
from tests.support.rooms import StillTime, running_room
from tests.support.tools_page import BEGIN, STORY, counting_entropy

pytestmark = house

REGENERATE = "python -m tests.support.generated writes the typed calls"


def test_the_typed_calls_are_those_of_the_tools_of_this_release() -> None:
    for path, text in client_module.written().items():
        assert path.read_text(encoding="utf-8") == text, REGENERATE


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_has_a_method_with_its_arguments_and_its_reply(name: str) -> None:
    tool, parameters = TOOLS[name], dict(inspect.signature(getattr(Tools, name)).parameters)
    assert name not in vars(Room), "a method of the room hides the tool"
    del parameters["self"]
    sent = {own.removesuffix("_") if keyword.iskeyword(own.removesuffix("_")) else own for own in parameters}
    assert sent - {"request_id"} == set(fields_of(tool.arguments))
    required = {own for own, found in parameters.items() if found.default is inspect.Parameter.empty}
    assert required == {own for own, field in fields_of(tool.arguments).items() if field.is_required()}
    shape = reply_shape(name)
    assert typing.is_typeddict(shape)
    assert set(client_module.reply_of(tool).model_json_schema(mode="serialization")["properties"]) <= set(
        shape.__annotations__
    )


async def test_the_replies_of_the_room_have_exactly_the_fields_of_their_types(tmp_path: Path) -> None:
    """The story of the tools page is played through the methods; its replies are compared with their types."""
    played = set[str]()
    async with running_room(tmp_path, time=StillTime(BEGIN), entropy=counting_entropy()) as room:
        await room.enroll("builder", "tester")
        await room.enroll("rex", role="watchdog")
        members = {name: Room(room.url, token) for name, token in {**room.tokens, "olga": room.owner_token}.items()}
        for step in STORY:
            given = {f"{name}_" if keyword.iskeyword(name) else name: value for name, value in step.arguments.items()}
            reply = await getattr(members[step.who], step.tool)(**given)
            require_exact(reply_shape(step.tool), reply)
            room.time.forward(30)
            played.add(step.tool)
        for tool, given in OTHERS.items():
            require_exact(reply_shape(tool), await getattr(members["olga"], tool)(**given))
    assert played | set(OTHERS) == set(TOOLS)


OTHERS: dict[str, dict[str, Any]] = {
    "plant": {"capability": "repo:acme/api", "file": "/tmp/planted"},
    "set_policy": {"name": "wip_cap", "value": "3"},
    "redact": {"what": "M-1", "reason": "a secret"},
    "notify": {"quiet": "22:00-07:00"},
    "sign_in": {},
    "require_approval": {"to": "builder", "match": "Bash(git push*)"},
}
"""The tools that the story does not show."""


def test_a_reply_with_another_field_or_without_one_is_seen() -> None:
    """The twin of the comparison above."""
    whole = {"wakes": [], "cursor": 1, "unacknowledged": 0, "proofs": 0, "superseded": False}
    require_exact(shapes.Waited, whole)
    for wrong in ({**whole, "more": 1}, {"wakes": []}, {**whole, "cursor": "one"}):
        with pytest.raises(AssertionError):
            require_exact(shapes.Waited, wrong)


def reply_shape(tool: str) -> Any:
    """The type of a tool's reply."""
    return getattr(shapes, inspect.signature(getattr(Tools, tool)).return_annotation)


def require_exact(shape: Any, reply: Any) -> None:
    """Compare a reply with its type, also inside."""
    assert list(differences(shape, reply, "reply")) == []


def differences(kind: Any, value: Any, where: str) -> Iterator[str]:
    """How a value differs from a type of the client."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if typing.is_typeddict(kind):
        fields = typing.get_type_hints(kind, include_extras=True)
        needed = {name for name, field in fields.items() if typing.get_origin(field) is not NotRequired}
        if not isinstance(value, dict) or not needed <= set(value) <= set(fields):
            yield f"{where} is {value!r}"
            return
        for name, one in value.items():
            field = fields[name]
            yield from differences(field if name in needed else typing.get_args(field)[0], one, f"{where}.{name}")
    elif origin is UnionType or origin is typing.Union:
        if all(list(differences(option, value, where)) for option in inner):
            yield f"{where} is {value!r}, not {kind}"
    elif origin is list and isinstance(value, list):
        for number, one in enumerate(value):
            yield from differences(inner[0], one, f"{where}[{number}]")
    elif origin is dict and isinstance(value, dict):
        for name, one in value.items():
            yield from differences(inner[1], one, f"{where}[{name}]")
    elif not _is_one(kind, value):
        yield f"{where} is {value!r}, not {kind}"


def _is_one(kind: Any, value: Any) -> bool:
    if typing.get_origin(kind) is Literal:
        return value in typing.get_args(kind)
    if kind is Any:
        return True
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind


# ------------------------------------------------------------------ what it loads


HEAVY = ("pydantic", "mcp", "mcp_types", "httpx2", "httpcore2", "starlette", "asyncio", "uvicorn", "logging", "rich")


def test_the_import_of_the_client_is_light_and_its_cost_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    loaded = modules_of("import teamroom.client")
    assert not loaded & set(HEAVY)
    own = {name for name in loaded if name.startswith("teamroom.")}
    assert not [name for name in own if name.startswith(("teamroom.server.acts", "teamroom.server.store"))]
    assert "teamroom.clients.session.shapes" not in own, "the types take longer than the client"
    milliseconds = cpu("import teamroom.client") - cpu("pass")
    with capsys.disabled():
        print(f"\nimport teamroom.client: {milliseconds:.0f} ms of CPU, {len(loaded)} modules")


def test_a_heavy_import_is_seen() -> None:
    """The twin of the test above."""
    assert modules_of("import teamroom.client, pydantic") & set(HEAVY) == {"pydantic"} | (
        modules_of("import pydantic") & set(HEAVY)
    )


def test_the_types_load_when_they_are_first_used_and_other_names_are_refused() -> None:
    assert client.shapes is shapes
    assert set(client.__all__) <= set(dir(client)) | {"shapes"}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = client.nonsense  # type: ignore[attr-defined]


def modules_of(code: str) -> set[str]:
    """The modules that a program loads."""
    shown = f"{code}; import json, sys; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def cpu(code: str, runs: int = 5) -> float:
    """The milliseconds of CPU that a program uses; the least of some runs."""
    measure = f"import time; {code}; print(time.process_time())"
    command = [sys.executable, "-c", measure]
    done = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(runs))
    return min(map(float, done)) * 1000
