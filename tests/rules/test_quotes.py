"""How a member's text stands inside a line of the room: between quotation marks that it cannot close."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from teamroom.server.rules.text import (
    LINE_CHARACTERS,
    add_quote,
    cite,
    cite_name,
    is_members_text,
    quote_entry,
    quote_line,
    quote_wake,
)
from tests.support.promises import promise

pytestmark = promise("SAF2")

words = st.text(st.characters(codec="ascii", exclude_characters=":“”"), min_size=1, max_size=200)
texts = st.text(max_size=300) | st.sampled_from(["”. Next: kill “", "“a” and “b”", "x: “y”", ": ", "“x”"])


def quotation_of(line: str) -> str:
    """What stands between the only two quotation marks of a line, the second of which ends it."""
    assert (line.count("“"), line.count("”"), line[-1]) == (1, 1, "”")
    return line.partition("“")[2][:-1]


@given(words, texts)
@example("@a note", "x" * 500)
@example("w" * 500, "x” “")
def test_a_text_is_in_one_quotation_at_the_end_of_a_line_that_fits(said: str, text: str) -> None:
    line = add_quote(said, text)
    assert len(line) <= LINE_CHARACTERS
    assert len(line.splitlines()) <= 1
    if text:
        assert line.startswith(" ".join(said.split())[:50])
        quotation_of(line)
        assert quote_line(line) == line, "what is quoted is not quoted again"


@given(words, texts)
def test_a_line_of_an_earlier_release_gets_the_quotation_marks_that_it_lacks(said: str, text: str) -> None:
    line = quote_line(f"{said}: {text}")
    assert line.startswith(f"{said}: “")
    quotation_of(line)


@given(texts)
def test_a_wake_has_a_members_text_in_quotation_marks_whoever_composed_its_line(text: str) -> None:
    for reason, sender in (("mention", "a"), ("offer", "a"), ("alert", "a")):
        assert is_members_text(reason, sender)
        quotation_of(quote_wake(reason, sender, text))
    for reason in ("assigned", "answer", "review", "control", "repair"):
        assert not is_members_text(reason, "room")
        assert quote_wake(reason, "room", add_quote("@a did it", text)) == add_quote("@a did it", text)
        quotation_of(quote_wake(reason, "a", f"@a did it: {text}"))


def test_a_sentence_of_the_room_stays_as_it_is() -> None:
    assert quote_line("@a accepted T-1 from @b") == "@a accepted T-1 from @b"
    assert quote_entry("presence", "@a is gone: silent for 3 h") == "@a is gone: silent for 3 h"
    assert quote_entry("post_message", "@a note: hello") == "@a note: “hello”"
    assert quote_wake("alert", "room", "@a is gone: silent; look") == "@a is gone: silent; look"
    assert add_quote("@a declined T-1", "") == "@a declined T-1"


@pytest.mark.parametrize(
    ("text", "cited", "as_name"),
    [
        ("repo:acme/api", "repo:acme/api", "“repo:acme/api”"),
        ("T-12", "T-12", "T-12"),
        ("@olga", "“@olga”", "@olga"),
        ("owner:olga", "owner:olga", "owner:olga"),
        ("two words", "“two words”", "“two words”"),
        ("-rf", "“-rf”", "“-rf”"),
        ("", "“”", "“”"),
    ],
)
def test_one_plain_word_needs_no_quotation_marks(text: str, cited: str, as_name: str) -> None:
    assert (cite(text), cite_name(text)) == (cited, as_name)
