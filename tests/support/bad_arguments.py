"""Arguments as they are meant, and broken: values for every field of every tool, made from its schema."""

import json
from typing import Any

from hypothesis import strategies as st

from teamroom.tools.tool import Tool
from tests.support.raw import Raw, message

LIKELY: dict[str, list[Any]] = {
    "task": ["T-1", "T-2", "T-3", "T-4", "T-99999"],
    "depends_on": ["T-1", "T-4"],
    "offer": ["O-1", "O-77"],
    "reply_to": ["M-1", "M-999"],
    "thread": ["M-1", "M-999"],
    "ids": ["M-1", "M-2", "M-999"],
    "after": ["T-1", "bot"],
    "to": ["rival", "@bot", "nobody"],
    "assign": ["rival", ""],
    "review": ["auto", "none", "rival"],
    "target": ["victim", "@victim", "owner:hanna", "owner:", "nobody"],
    "name": ["victim", "newcomer"],
    "owner": ["hanna", "bot"],
    "mode": ["live", "every:60", "on_demand"],
    "sha256": ["ab" * 32],
}
"""Texts that a field of this name may mean; others get plain words. `bot` itself is never paused or renamed."""

LIKELY_NUMBERS: dict[str, list[Any]] = {"integer": [0, 1, 2, 10**6], "number": [0, 0.01], "boolean": [True, False]}

NASTY: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 1.5),
    *(Raw(text) for text in ("NaN", "-Infinity", "1e999", "-0", "1e-999", "9" * 400, "9" * 5000)),
    *("", " ", "\n", "\x00", "a\x00b", "\x1b[2J", "\x85", "\u202eevil", "\u2066", "\u2028", "\ufeff", "\uffff"),
    *(
        Raw('"\\ud800"'),
        Raw('"\\udc00\\ud800"'),
        "VICTIM",
        "\uff56ictim",
        "victim ",
        "@",
        "@@victim",
        "owner:",
        "room\n",
    ),
    *("T-", "T-0", "T--1", "T-1e3", "T-٣", "T-" + "9" * 18, "M-0", "M-" + "9" * 16, "O-0", "O-1\n", "t-1"),
    *("%", "_", "'; --", '"', "\\", "../../etc/passwd", "<script>alert(1)</script>", "{{7*7}}", "nan", "1e400", "true"),
    *("é" * 41, "x" * 201, "x" * 16_001, "x" * 100_000),
    *([], [[]], {}, {"a": 1}, [None], ["x"] * 10_000, {str(i): i for i in range(1000)}),
    *(Raw("[" * 20 + "]" * 20), Raw("[" * 200 + "]" * 200), Raw('{"a":' * 31 + "1" + "}" * 31), Raw('{"a":1,"a":2}')),
]

UNKNOWN_ARGUMENTS = [
    "author",
    "as",
    "agent_id",
    "caller",
    "member",
    "__class__",
    "self",
    "",
    "\x00",
    "x" * 5000,
    "Text",
]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=8,
)
bad = st.sampled_from(NASTY) | anything


def meant(schema: dict[str, Any], name: str) -> st.SearchStrategy[Any]:
    """Values that fit a field's schema and may be meant."""
    if "anyOf" in schema:
        return st.one_of([meant(option, name) for option in schema["anyOf"] if option.get("type") != "null"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return st.lists(meant(schema["items"], name), max_size=3)
    if kind == "object":
        required = schema.get("required", ())
        fields = {key: meant(value, key) for key, value in schema.get("properties", {}).items()}
        return st.fixed_dictionaries(
            {key: value for key, value in fields.items() if key in required},
            optional={key: value for key, value in fields.items() if key not in required},
        )
    return st.sampled_from(LIKELY_NUMBERS.get(str(kind), LIKELY.get(name, ["plain words", "@rival look"])))


@st.composite
def arguments_of(draw: st.DrawFn, tool: Tool) -> Any:
    """Arguments for a tool: as they are meant, then broken in up to three places."""
    if draw(st.integers(0, 19)) == 0:
        return draw(bad)
    schema = tool.definition.input_schema
    arguments = dict(draw(meant(schema, tool.name)))
    names = [*schema.get("properties", {}), draw(st.sampled_from(UNKNOWN_ARGUMENTS))]
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(names))
        if draw(st.booleans()):
            arguments[name] = draw(bad)
        else:
            arguments.pop(name, None)
    if tool.waits:
        arguments.setdefault("timeout_seconds", 0)
    if arguments and draw(st.integers(0, 9)) == 0:
        first, *rest = arguments
        pairs = [(first, draw(bad)), *((name, arguments[name]) for name in (first, *rest))]
        return Raw("{" + ",".join(f"{json.dumps(name)}:{as_json(value)}" for name, value in pairs) + "}")
    return arguments


def as_json(value: Any) -> str:
    """A value as it stands in a message: raw pieces as they are."""
    return message("", value).decode().partition('"params":')[2][:-1]
