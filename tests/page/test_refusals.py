"""What people read when the room refuses: plain words, and what a person can do."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from teamroom.resources.page.refusals import FIXES, for_people
from teamroom.server.refusals import CODES, Refusal
from teamroom.tools.serve import TOOLS
from tests.support.promises import house
from tests.support.rates import LIMITLESS
from tests.support.rooms import RunningRoom, running_room
from tests.support.visitors import Shown, visitor

pytestmark = house

OF_PYDANTIC = re.compile(
    r"Input should|Field required|(String|Value|List|Dictionary|Data) should|Value error|validation|[Pp]ydantic"
    r"|valid (integer|string|number|boolean|list|dictionary)|unable to|Extra inputs|permitted|instance of"
)

NAMES = "|".join(name for name in TOOLS if "_" in name)
FOR_AGENTS = re.compile(rf"\b({NAMES}|heartbeat)\b|\b[Cc]all (again|{'|'.join(TOOLS)})\b|end your turn|“\{{")

BAD = ["", "wrong", "-1", "1.5", "1e999", "x" * 16_001, "a\x00b", "[1]", '[{"kind": "x"}]', "\n".join("x" * 60)]
"""Values of each kind: none, a word, numbers out of bounds, too long, with what hides, as JSON, and too many."""


def refused(page: Shown) -> str:
    """What a page says of a refusal."""
    found = re.search(r"Refused: (.*?) (Back · )?The room ", page.text)
    assert found is not None, page.text
    return found[1]


async def test_no_form_answers_a_bad_value_with_words_that_are_not_the_rooms(tmp_path: Path) -> None:
    seen = set()
    async with running_room(tmp_path / "room", **LIMITLESS) as room, visitor(room) as browser:
        forms = [form for form in (await browser.get("/acts")).forms if form.action != "/act/pause"]
        for form in forms:
            empty = dict.fromkeys(form.fields, "x") | {"then": "/", "request_id": "", "typed": "x"}
            for field in form.fields.keys() - {"then", "request_id", "typed"}:
                for value in BAD:
                    answer = await browser.post(form.action, {**empty, field: value})
                    if answer.status_code in (200, 303):
                        continue
                    words = refused(Shown(answer))
                    assert not OF_PYDANTIC.search(words), (form.action, field, value[:20], words)
                    assert not FOR_AGENTS.search(words), (form.action, field, value[:20], words)
                    seen.add(re.sub(r"“.*?”|[0-9]+", "", words))
    assert len(seen) > len(BAD), "many kinds of fault were found"


async def test_a_refused_form_names_its_fields_as_it_shows_them(room: RunningRoom) -> None:
    async with visitor(room) as browser:
        form = (await browser.get("/")).form("create_task")
        shown = await browser.send(form, title="", priority="x", depends_on="what")
        assert "Title: is needed" in shown.text
        assert "Priority: must be a whole number" in shown.text
        assert "Depends on 1: " in shown.text, refused(shown)
        assert "Go back, correct the form, and send it again." in shown.text


async def test_an_address_that_makes_no_sense_is_refused_in_plain_words(room: RunningRoom) -> None:
    async with visitor(room) as browser:
        for path in ("/tasks/x", "/board?state=wrong", "/board?after=x", "/log?after=-1", "/overnight?since=x"):
            words = refused(await browser.get(path))
            assert not OF_PYDANTIC.search(words), words


# ------------------------------------------------------------------ what a person can do


async def test_a_paused_person_reads_whom_to_ask(room: RunningRoom) -> None:
    await room.enroll("hanna", kind="human")
    async with visitor(room, "hanna") as browser:
        await (await room.connect("olga"))("pause", target="hanna", reason="call me first")
        words = refused(await browser.get("/"))
        assert re.search(r"You are paused by @olga since .*: “call me first”", words)
        assert "Ask @olga , or another operator or owner of the room, to resume you." in words
        assert not FOR_AGENTS.search(words)
        told = (await browser.http.get("/part/needs?as=json")).json()
        assert told["fix"].startswith("Ask @olga, ")
        assert not FOR_AGENTS.search(told["fix"])


async def test_a_killed_person_reads_who_can_revive_them(room: RunningRoom) -> None:
    await room.enroll("hanna", kind="human")
    async with visitor(room, "hanna") as browser:
        await (await room.connect("olga"))("kill", target="hanna", reason="left the team")
        shown = await browser.get("/")
        assert "@hanna was killed by @olga: “left the team”." in shown.text
        assert "Only a room owner can revive you." in shown.text
        assert "make no more calls" not in shown.text
        told = (await browser.http.get("/part/needs?as=json")).json()
        assert told["fix"] == "Only a room owner can revive you."


def test_every_kind_of_refusal_says_what_a_person_can_do() -> None:
    assert FIXES.keys() == CODES
    assert not [fix for fix in FIXES.values() if FOR_AGENTS.search(fix)]


def refusals() -> Iterator[tuple[str, Refusal]]:
    """Yield every refusal that the room's code can make, with an x for what is filled in."""
    for folder in ("server", "tools"):
        for path in sorted(Path(folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal":
                    code, why, fix = (said(one) for one in node.args[:3])
                    yield f"{path}:{node.lineno}", Refusal(code if code in CODES else "conflict", why, fix)  # type: ignore[arg-type]


def said(node: ast.AST) -> str:
    """The words of a text in the code; of one that depends on something, all of them."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.FormattedValue):
        return "x"
    between = "" if isinstance(node, ast.JoinedStr) else " "
    return between.join(filter(None, map(said, ast.iter_child_nodes(node))))


@pytest.mark.parametrize("where", ["server", "tools"])
def test_no_refusal_of_the_room_tells_a_person_to_call_a_tool(where: str) -> None:
    found = [(place, refusal) for place, refusal in refusals() if place.startswith(where)]
    assert found
    agents = [place for place, refusal in found if FOR_AGENTS.search(refusal.fix)]
    assert agents or where == "tools", "there are refusals that do, for agents"
    wrong = {place: fix for place, one in found if FOR_AGENTS.search(fix := str(for_people(one)["fix"]))}
    assert not wrong
