"""The merge of a join: on any config, it adds its entries and changes nothing else, and takes only them out again."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomlkit
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from teamroom.clients.harnesses.changes import carry_out, plan_join, plan_leave
from teamroom.clients.harnesses.description import ConfigFile
from teamroom.clients.harnesses.entries import (
    SYNTAXES,
    ConflictError,
    Entry,
    Item,
    Put,
    is_in,
    merge,
    strip,
)
from teamroom.clients.harnesses.record import Record
from teamroom.clients.harnesses.syntax import BrokenError
from teamroom.clients.session.failure import Failure
from tests.support.promises import promise

pytestmark = promise("WAK5")

SERVER = {"command": "teamroom", "args": ["connect", "--as", "builder"]}
HANDLER = {"type": "command", "command": "teamroom listen --as builder --once", "timeout": 86400}
GROUP = {"hooks": [HANDLER]}

ENTRIES: tuple[Entry, ...] = (
    Put(("servers", "teamroom"), SERVER),
    Put(("servers", "is_on"), True),
    Item(("permissions", "allow"), "mcp__teamroom", "mcp__teamroom"),
    Item(("hooks", "Stop"), GROUP, HANDLER["command"]),  # type: ignore[arg-type]
    Item(("list",), {"name": "teamroom", **SERVER}, "teamroom"),
)

KEYS = st.sampled_from(
    ["servers", "permissions", "allow", "hooks", "Stop", "list", "other", "a key", "ключ", "teamrooms"]
)
SCALARS = st.one_of(
    st.booleans(), st.integers(-9, 10**6), st.sampled_from([0.5, -2.25, 1e30]),
    st.sampled_from(["", "x", "# no comment", "// none", "a: b", "[d", "{e", '"', "'", "\\", "é", "a\nb", "yes"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
CONFIGS = st.dictionaries(KEYS, VALUES, max_size=5)
CHOSEN = st.lists(st.sampled_from(ENTRIES), unique_by=repr, min_size=1)

NOTES = st.sampled_from(["", "# a note\n", "#[x]\n", "\n"])
BLANKS = st.sampled_from(["", " ", "\n", "\n  ", "\n\t", " // a // note\n", " /* , } ] */ ", "\n  // { note\n  "])


@st.composite
def json_texts(draw: Callable[..., Any]) -> str:
    """A config as JSON with white space, comments and commas wherever they may be."""

    def write(value: Any) -> str:
        if not isinstance(value, dict | list):
            return json.dumps(value, ensure_ascii=draw(st.booleans()))
        keys = [f"{json.dumps(key)}{draw(BLANKS)}:{draw(BLANKS)}" for key in value] if isinstance(value, dict) else None
        inner = [write(one) for one in (value.values() if isinstance(value, dict) else value)]
        parts = [f"{draw(BLANKS)}{keys[at] if keys else ''}{one}{draw(BLANKS)}" for at, one in enumerate(inner)]
        last = draw(st.sampled_from(["", ",", ", // last\n"])) if parts else ""
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return f"{opening}{','.join(parts)}{last}{draw(BLANKS)}{closing}"

    config = draw(CONFIGS)
    if draw(st.booleans()):
        return json.dumps(config, indent=draw(st.sampled_from([None, 2, 4, "\t"]))) + draw(st.sampled_from(["", "\n"]))
    return f"{draw(BLANKS)}{write(config)}{draw(BLANKS)}"


@st.composite
def toml_texts(draw: Callable[..., Any]) -> str:
    """A config as TOML: with comments, tables, inline tables and lists of tables."""
    config = draw(CONFIGS)
    if draw(st.booleans()):
        text = "".join(
            f"{_key(key)} = {_inline(one)} # inline\n" for key, one in config.items() if isinstance(one, dict)
        )
    else:
        text = "".join(
            f"{draw(NOTES)}{line}" if line.startswith("[") else line
            for line in tomlkit.dumps(config).splitlines(keepends=True)
        )
    return text.removesuffix("\n") if draw(st.booleans()) else text


def _key(key: str) -> str:
    return tomlkit.key(key).as_string()


def _inline(value: Any) -> str:
    return tomlkit.item(value, _parent=tomlkit.array()).as_string()


@st.composite
def yaml_texts(draw: Callable[..., Any]) -> str:
    """A config as YAML: blocks and flows, with comments."""
    style, indent = draw(st.sampled_from([None, False, False, True])), draw(st.sampled_from([2, 4]))
    text = yaml.safe_dump(draw(CONFIGS), default_flow_style=style, sort_keys=False, allow_unicode=True, indent=indent)
    if style is False and draw(st.booleans()):
        text = "# the first\n" + text + draw(st.sampled_from(["# the last\n", "\n\n", "  # far\n"]))
    return text.removesuffix("\n") if draw(st.booleans()) else text


DUMPS: dict[str, Callable[[Any], str]] = {"json": json.dumps, "toml": tomlkit.dumps, "yaml": yaml.safe_dump}
"""How a harness writes its whole config again, without comments."""

TEXTS = {"json": json_texts(), "toml": toml_texts(), "yaml": yaml_texts()}
CASES = st.sampled_from(["json", "toml", "yaml"]).flatmap(lambda name: st.tuples(st.just(name), TEXTS[name], CHOSEN))


def is_within(text: str, longer: str) -> bool:
    """Whether a text is in a longer one, in order, with something between its characters at most."""
    rest = iter(longer)
    return all(character in rest for character in text)


@example(("json", '{"servers": {"x": 1} // note\n}', list(ENTRIES)))
@example(("json", "", list(ENTRIES)))
@example(("json", "\n  {\n\t}", list(ENTRIES[:1])))
@example(("json", '{\r\n  "list": [\r\n    1 // one\r\n  ],\r\n}\r\n', list(ENTRIES)))
@example(("toml", "list = []\n[servers]\nis_off = 1 # note", list(ENTRIES)))
@example(("toml", "# only a comment", list(ENTRIES)))
@example(("yaml", "# only a comment", list(ENTRIES)))
@example(("yaml", "list:\n- 1\n- a: |\n    text\n\n# end\nother: &a [b]\n", list(ENTRIES)))
@given(CASES)
def test_entries_are_added_and_nothing_else_changes_and_without_them_all_is_as_before(
    case: tuple[str, str, list[Entry]],
) -> None:
    name, text, entries = case
    syntax = SYNTAXES[name]
    before = syntax.load(text)
    try:
        merged = merge(syntax, text, entries)
    except ConflictError:
        return  # something else is where an entry belongs, and nothing is written
    after = syntax.load(merged.text)
    assert all(is_in(after, entry) for entry in entries)
    assert set(map(repr, merged.added)) == {repr(entry) for entry in entries if not is_in(before, entry)}
    if name != "toml":
        assert is_within(text, merged.text)
    assert syntax.load(strip(syntax, merged.text, merged.added, merged.created)) == before
    again = merge(syntax, merged.text, entries)
    assert (again.text, again.added) == (merged.text, ())


@given(st.tuples(*TEXTS.values()))
def test_most_configs_can_be_changed(texts: tuple[str, ...]) -> None:
    """The twin of the refusals above: a config that has nothing in an entry's place is not refused."""
    for syntax, text in zip(SYNTAXES.values(), texts, strict=True):
        entry = Put(("mcp_servers", "teamroom"), SERVER)
        assert is_in(syntax.load(merge(syntax, text, [entry]).text), entry)


@pytest.mark.parametrize("name", SYNTAXES)
def test_what_others_changed_since_stays_and_only_our_entries_go(name: str) -> None:
    syntax = SYNTAXES[name]
    merged = merge(syntax, "", ENTRIES)
    value = syntax.load(merged.text)
    value["servers"]["teamroom"]["timeout"] = 60
    value["servers"]["mine"] = {"command": "x"}
    value["hooks"]["Stop"][0]["hooks"].insert(0, {"type": "command", "command": "mine"})
    value["permissions"]["allow"].insert(0, "mine")
    value["servers"]["is_on"] = False
    assert syntax.load(strip(syntax, DUMPS[name](value), merged.added, merged.created)) == {
        "servers": {"is_on": False, "mine": {"command": "x"}},
        "permissions": {"allow": ["mine"]},
        "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "mine"}]}]},
    }


def test_comments_and_order_stay_where_they_are() -> None:
    text = '// top\n{\n    "b": 1, // one\n    /* two */ "servers": {\n        "x": {} // three\n    },\n}\n'
    merged = merge(SYNTAXES["json"], text, [Put(("servers", "teamroom"), {"command": "teamroom"})])
    new = '        "teamroom": {\n            "command": "teamroom"\n        }\n'
    assert merged.text == text.replace("{} // three\n", "{}, // three\n" + new)
    assert strip(SYNTAXES["json"], merged.text, merged.added, merged.created) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("json", '{"a": 1'), ("json", "[1]"), ("json", '{"a" 1}'), ("json", "{'a': 1}"), ("json", '{"a": 1} x'),
        ("json", '{"a": 1 "b": 2}'), ("json", "/* open"), ("json", '{"a": ' + "[" * 5000), ("json", '{"a": "\\x"}'),
        ("toml", "a = "), ("toml", "a = 1\na = 2"), ("yaml", "a: [1"), ("yaml", "- 1"), ("yaml", "a: 1\n---\nb: 2"),
        ("yaml", "text"), ("yaml", "a:\n\t- 1"),
    ],
)  # fmt: skip
def test_a_broken_config_is_refused(name: str, text: str) -> None:
    with pytest.raises(BrokenError):
        merge(SYNTAXES[name], text, ENTRIES)


@pytest.mark.parametrize(
    "text", ['{"servers": []}', '{"servers": null}', '{"servers": {"teamroom": {}}}', '{"list": {}}']
)
def test_what_somebody_else_has_in_the_place_of_an_entry_is_a_conflict(text: str) -> None:
    with pytest.raises(ConflictError):
        merge(SYNTAXES["json"], text, ENTRIES)


# ------------------------------------------------------------------ files


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configs") / "config"


@example(case=("json", "\ufeff{}", list(ENTRIES)), mode=0o600)
@example(case=("toml", "a = 1\r\n[b]\r\nc = 2\r\n", list(ENTRIES)), mode=0o644)
@given(case=CASES, mode=st.sampled_from([0o600, 0o644, 0o666]))
def test_a_leave_makes_any_file_what_it_was_byte_for_byte(
    config: Path, case: tuple[str, str, list[Entry]], mode: int
) -> None:
    name, text, entries = case
    data = text.encode()
    config.write_bytes(data)
    config.chmod(mode)
    record = Record()
    try:
        joined = plan_join(record, "one", ConfigFile(config, name, tuple(entries)))
    except Failure:
        assert config.read_bytes() == data
        return
    carry_out(record, [joined], lambda: None)
    again = plan_join(record, "one", ConfigFile(config, name, tuple(entries)))
    assert not again.is_one, "a second join changes nothing"
    for written in record.files_of("one"):
        carry_out(record, [plan_leave(written, "one")], lambda: None)
    assert (config.read_bytes(), stat.S_IMODE(config.stat().st_mode)) == (data, mode)
    assert record.files == {}


@example(case=("toml", "servers = {} # inline\n", [Put(("servers", "teamroom"), SERVER)]), other={"mine": False})
@example(case=("toml", "hooks = {} # inline\n", list(ENTRIES[:4])), other={"mine": False})
@given(case=CASES, other=st.dictionaries(st.sampled_from(["mine", "more", "last"]), SCALARS, min_size=1))
def test_from_any_file_that_its_owner_changed_a_leave_removes_only_the_entries(
    config: Path, case: tuple[str, str, list[Entry]], other: dict[str, Any]
) -> None:
    name, text, entries = case
    syntax, record = SYNTAXES[name], Record()
    config.write_text(text, newline="")
    try:
        carry_out(record, [plan_join(record, "one", ConfigFile(config, name, tuple(entries)))], lambda: None)
    except Failure:
        return
    config.write_text(DUMPS[name]({**syntax.load(config.read_text()), **other}))
    for written in record.files_of("one"):
        carry_out(record, [plan_leave(written, "one")], lambda: None)
    assert syntax.load(config.read_text()) == {**syntax.load(text), **other}
