"""Every page is current: its commands run, its configs parse, and its names, links, counts and parts are right."""

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import yaml

from teamroom import __version__
from teamroom.client import Failure, Room
from teamroom.server.refusals import CODES
from teamroom.server.rules.presence import parse_mode
from teamroom.server.settings import Settings
from teamroom.tools.serve import TOOLS
from tests.support import generated, tools_page
from tests.support.pages import PAGES, blocks, by_hand, commands, parts, prose, read, spans
from tests.support.promises import house
from tests.support.repository import ROOT
from tests.support.rooms import running_room
from tests.support.shells import Shell

pytestmark = house

README = ROOT / "README.md"
TOOLS_PAGE = ROOT / "docs" / "tools.md"
README_LINES = 145

REGENERATE = "python -m tests.support.generated writes the pages"

PARSERS: dict[str, Callable[[str], Any]] = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}

OF_OTHERS = frozenset(
    {
        *("bearer_token_env_var", "include_instructions", "lock_timeout", "mcp_servers", "pg_dump", "scrape_configs"),
        "tool_error_behavior",
    }
)
"""Names that belong to other programs."""

MODES = ("live", "on_demand", "manual")

TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
NUMBER = rf"(?:\d+|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|{TENS})"
COUNTED = r"(?:tools?|resources?|prompts?|migrations?|commands?|settings?|metrics?|attacks?|promises|codes|roles)"
"""What changes from release to release, so that nobody counts it by hand."""

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


# ------------------------------------------------------------------ what programs write


async def test_every_generated_part_of_a_page_is_up_to_date(tmp_path: Path) -> None:
    now = await generated.written(tmp_path)
    shown = {page.name: parts(read(page)) for page in PAGES}
    assert {name for named in shown.values() for name in named} == set(now), "a part is on no page, or has no program"
    stale = [(page, name) for page, named in shown.items() for name, text in named.items() if text != now[name]]
    assert stale == [], REGENERATE


async def test_the_page_of_the_tools_shows_the_real_replies_of_the_room(tmp_path: Path) -> None:
    assert read(TOOLS_PAGE) == await tools_page.written(tmp_path / "room"), REGENERATE


@by_page
def test_no_page_contains_a_hand_written_count_that_can_change(page: Path) -> None:
    if page != TOOLS_PAGE:
        assert re.findall(rf"\b{NUMBER} (?:more |further )?{COUNTED}\b", by_hand(read(page)), re.IGNORECASE) == []


# ------------------------------------------------------------------ what people write


@by_page
def test_every_link_and_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = read(page)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([\w-]+))?\)", text):
        found = page.parent / target if target else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(read(found)), f"{target}#{anchor}"
    named = re.findall(r"`((?:server|tools|resources|clients|tests|docs)/[\w./-]*(?:/|\.\w+))`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


@by_page
def test_every_config_of_a_page_parses(page: Path) -> None:
    text = read(page)
    for language, parse in PARSERS.items():
        for block in blocks(text, language):
            config = parse(block)
            if language == "toml" and "mcp_servers" not in config:
                Settings.model_validate(config)


@by_page
def test_every_command_of_a_page_is_one_that_the_shell_knows(page: Path, shell_helps: dict[str, str]) -> None:
    for line in commands(by_hand(read(page)), "teamroom"):
        words = shlex.split(re.split(r" \| | > | >> | -- ", line)[0], comments=True)[1:]
        if words[0].startswith("-"):
            assert words[0] in shell_helps[""], line
            continue
        spelled = [" ".join(words[:count]) for count in (1, 2, 3)]
        name = next((name for name in (*spelled, f"{words[0]} show") if name in shell_helps), spelled[1])
        assert name in shell_helps, line
        options = [word.partition("=")[0] for word in words[1:] if word.startswith("-") and word != "-"]
        assert [option for option in options if not re.search(rf"(?<![\w-]){option}\b", shell_helps[name])] == [], line


@by_page
def test_every_target_of_make_that_a_page_names_is_there(page: Path) -> None:
    makefile = read(ROOT / "Makefile")
    targets = {line.split()[1] for line in commands(read(page), "make")}
    assert [target for target in sorted(targets) if f"\n{target}:" not in makefile] == []


@by_page
async def test_every_setting_tool_and_metric_that_a_page_names_is_there(page: Path, known_names: set[str]) -> None:
    named = {span.partition("{")[0] for span in spans(read(page))}
    identifiers = {name for name in named if re.fullmatch(r"[a-z]+(_[a-z]+)+", name) and not name.startswith("test_")}
    assert sorted(identifiers - known_names) == []


@by_page
def test_every_default_that_a_page_gives_is_the_default(page: Path) -> None:
    given = re.findall(r"`(\w+)` \((\d[\d.]*)\)", by_hand(read(page)))
    wrong = [(name, value) for name, value in given if float(value) != getattr(Settings(), name)]
    assert wrong == []


def test_the_readme_is_short_and_names_the_wheel_of_this_release() -> None:
    assert len(read(README).splitlines()) <= README_LINES
    assert set(re.findall(r"teamroom-([\d.]+)-py3-none-any\.whl", read(README))) == {__version__}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != README and blocks(read(page), "sh")], ids=lambda path: path.name
)
async def test_every_command_of_a_page_runs_as_it_is_written(page: Path, tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
        for line in "".join(blocks(read(page), "sh")).splitlines():
            program, *words = shlex.split(line)
            assert program == "teamroom", line
            done = await shell.here(*words)
            assert done.code == 0, f"{line}: {done.out}{done.err}"


# ------------------------------------------------------------------ what is known


@pytest.fixture(scope="module")
def shell_helps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    shell = Shell(tmp_path_factory.mktemp("home"))
    return {"": shell.now("--help").out, **generated.helps(shell)}


@pytest.fixture
async def known_names(tmp_path: Path) -> set[str]:
    """Every name of the room's contract, and of a module of the server, that is written with an underscore."""
    async with running_room(tmp_path / "room") as room:
        (observer,) = await room.enroll("prometheus", role="observer")
        header = {"Authorization": f"Bearer {room.tokens[observer.name]}"}
        metrics = (await room.raw("GET", "/metrics", headers=header)).text
    modules = {path.stem for path in (ROOT / "server").glob("*.py")}
    names = {*Settings.model_fields, *TOOLS, *CODES, *OF_OTHERS, *modules, *filter(parse_mode, MODES)}
    for tool in TOOLS.values():
        names |= set(strings(tool.definition.input_schema))
    names |= {*vars(Failure), *(name for called in (Room, Room.call) for name in signature(called).parameters)}
    names |= set(re.findall(r"^(?:# TYPE )?(teamroom_\w+)", metrics, flags=re.MULTILINE))
    return names | {f"{name}_total" for name in names}


def strings(node: Any) -> Iterator[str]:
    """Every key and every text in a schema."""
    if isinstance(node, dict):
        yield from (text for key, value in node.items() for text in (key, *strings(value)))
    elif isinstance(node, list):
        yield from (text for item in node for text in strings(item))
    elif isinstance(node, str):
        yield node


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
