"""Names in the shell: in any case, with either sign, and with the nearest ones where no member has them."""

import unicodedata

import pytest

from teamroom.clients.session.failure import Failure
from teamroom.clients.session.place import Place, member_token
from teamroom.clients.session.terminal import Styled, aligned, cell_len, plain, quoted_lines
from tests.rules.test_characters import HOSTILE, LEGITIMATE
from tests.support.promises import promise
from tests.support.rooms import RunningRoom
from tests.support.shells import Shell

pytestmark = promise("HND4")


@pytest.fixture
async def shell(room: RunningRoom) -> Shell:
    """The owner's shell next to a room in this process."""
    return Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})


COMMANDS = (
    ("roster", "NAME"),
    ("receipts", "--actor", "NAME"),
    ("pause", "NAME", "--reason", "lunch"),
    ("resume", "NAME", "--reason", "back"),
    ("enroll", "NAME", "--rotate", "--save"),
    ("attest", "NAME", "tool:docker"),
    ("kill", "NAME", "--reason", "enough", "--yes"),
    ("enroll", "NAME", "--revive", "--save"),
    ("revoke", "NAME"),
)


async def test_each_command_takes_a_name_in_any_case_and_says_which_one_is_near(
    room: RunningRoom, shell: Shell
) -> None:
    (builder,) = await room.enroll("Builder")
    await builder("declare_capabilities", capabilities=["tool:docker"])
    for words in COMMANDS:
        missed = await shell.here(*(word.replace("NAME", "bulider") for word in words))
        assert missed.code != 0, words
        assert "@Builder" in missed.err or "--revive" in words, words
        for written in ("@BUILDER", "\uff20builder") if words[0] == "roster" else ("@BUILDER",):
            done = await shell.here(*(word.replace("NAME", written) for word in words))
            assert done.code == 0, (words, done.err)
            assert "BUILDER" not in done.out, words
    assert [file.name for file in (room.folder / "members").iterdir()] == ["Builder.token"]


async def test_a_saved_token_is_found_by_the_name_in_any_case(room: RunningRoom, shell: Shell) -> None:
    await shell.here("enroll", "Builder", "--save")
    place = Place(room.folder, environment={})
    assert member_token(place, "builder") == member_token(place, "Builder")
    with pytest.raises(Failure, match="contains no token of rex"):
        member_token(place, "rex")


async def test_a_reason_that_mentions_nobody_is_said_so(room: RunningRoom, shell: Shell) -> None:
    await room.enroll("builder")
    done = await shell.here("pause", "builder", "--reason", "ask @bulider or @olga", "--json")
    assert done.json["not_reached"][0]["near"] == ["builder"]
    assert "@bulider reaches nobody: no member has this name; near: @builder" in done.err
    assert "@olga" not in done.err


@promise("SAF8")
async def test_what_a_text_of_each_command_lost_is_said_so(room: RunningRoom, shell: Shell) -> None:
    await room.enroll("builder")
    pasted = "\x1b[31mFAILED\x1b[0m tests/x.py\u200b"
    for words in (
        *(("post", pasted), ("ask", "builder", pasted), ("reply", "M-1", pasted)),
        *(("task", "add", "log in", "--detail", pasted), ("claim", "T-1"), ("task", "note", "T-1", pasted)),
    ):
        done = await shell.here(*words)
        assert done.code == 0, (words, done.err)
        lost = "Removed from your text: 2 escape sequences and 1 invisible character." in done.err
        assert lost == (pasted in words), words
    assert "Removed" not in (await shell.here("post", "as it is")).err


@promise("SAF2")
def test_what_the_room_accepts_is_shown_as_it_is_and_what_it_removes_as_escapes() -> None:
    for text in LEGITIMATE.values():
        assert plain(text) == " ".join(text.split())
        assert quoted_lines(text) == [f"> {line}" for line in text.expandtabs(4).split("\n")]
    for text in HOSTILE.values():
        assert "\\" in plain(text) or "\u2028" in text
    assert quoted_lines("1. build\r\n2. test\r3. ship") == ["> 1. build", "> 2. test", "> 3. ship"]


WIDTHS = {
    "नमस्ते दुनिया": 8,
    "தமிழ் மொழி": 6,
    "สวัสดีครับ": 7,
    "\u1019\u103c\u1014\u103a\u1019\u102c": 3,
    "日本語のタイトル": 16,
    "한국어": 6,
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645": 7,
    "👨\u200d👩\u200d👧 🏳\ufe0f\u200d🌈 👍🏽 🇩🇪": 11,
    "1\ufe0f\u20e3 ❤\ufe0f": 5,
    "e\u0301tude": 5,
    "plain": 5,
}
"""Texts and how many cells a terminal gives them."""


@pytest.mark.parametrize("text", WIDTHS)
def test_a_text_is_as_wide_as_on_a_terminal_and_is_cut_between_letters(text: str) -> None:
    assert cell_len(text) == WIDTHS[text]
    assert [cell_len(line) for line in aligned([[text, "."], ["x", "."]])] == [WIDTHS[text] + 3] * 2
    whole = Styled(text[:1], text[1:])
    assert whole.cut(WIDTHS[text]).text == text
    for cells in range(1, WIDTHS[text]):
        shown = Styled(text).cut(cells).text
        assert cell_len(shown) <= cells
        assert text.startswith(shown[:-1])
        after = text[len(shown) - 1 :]
        assert not unicodedata.category(after[0]).startswith("M"), "a letter is torn from its marks"
        assert not shown[:-1].endswith("\u200d"), "an emoji is torn"
