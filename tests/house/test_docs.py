"""The pages under `docs/` say what is so: the tools as they answer now, links that lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from tests.support.promises import house
from tests.support.repository import ROOT
from tests.support.shells import up
from tests.support.tools_page import written

pytestmark = house

PAGES = sorted((ROOT / "docs").rglob("*.md"))


async def test_the_page_of_the_tools_is_what_the_room_answers(tmp_path: Path) -> None:
    shown = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")
    assert shown == await written(tmp_path / "room"), "python -m tests.support.tools_page > docs/tools.md writes it"


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda path: path.name)
def test_every_link_and_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#:]+)", text) if not (page.parent / link).exists()]
    named = re.findall(r"`((?:server|tools|resources|clients|tests|docs)/[\w./-]*(?:/|\.\w+))`", text)
    assert links == []
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_command_of_the_page_for_operators_runs_as_it_stands(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^( *)```sh\n(.*?)^ *```", page, flags=re.MULTILINE | re.DOTALL)
    commands = [line.strip() for _, block in blocks for line in block.splitlines()]
    assert len(commands) > 15
    with up(tmp_path / "room", "--owner", "olga") as room:
        for command in commands:
            done = room.shell.run(*shlex.split(command)[1:])
            assert done.code == 0, f"{command}: {done.out}{done.err}"
