"""The prose of the pages is plain English: no retired phrase, no endless sentence, and one meaning for each word."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.pages import PAGES, PART, prose, read, sentences
from tests.support.promises import house
from tests.support.repository import ROOT

pytestmark = house

SENTENCE_WORDS = 25

RETIRED = (
    "all the same",
    "anew",
    "any more",
    "anybody else's",
    "besides?",
    "but for",
    "by itself",
    "for ever",
    "goes on",
    "in (?:the|its) place of",
    "(?<!there )is no(?! longer)",
    "let(?:s|ting)? go(?: on)?",
    "makes? suspect",
    "mends?|mended",
    "nobody \\w+ any",
    "of (?:its|their|one's) own",
    "say(?:s|ing)? so|said so",
    "stands?",
    "take(?:s|n)? away|took away|taking away",
    "to and fro",
    "told of",
    "turned away",
    "who may what",
    "whom",
    "wh(?:o|om|at|ich|ere|en|y)ever",
    "what is (?:well|due|so)",
)
"""Phrases of another language, and words that mean two things; each has a plainer word."""

TAKEN_OVER = frozenset({"promises"})
"""The generated part that quotes promises, whose words are not this page's to choose."""

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


@by_page
def test_no_page_uses_a_retired_phrase(page: Path) -> None:
    assert retired_phrases(words_of(page)) == []


@by_page
def test_no_sentence_is_too_long(page: Path) -> None:
    assert [sentence for sentence in sentences(words_of(page)) if word_count(sentence) > SENTENCE_WORDS] == []


def test_the_glossary_gives_each_word_one_meaning() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ", read(ROOT / "docs" / "glossary.md"), flags=re.MULTILINE)
    words = Counter(word for row in rows if row not in ("word", "---") for word in row.split(", "))
    assert len(words) > 50
    assert [word for word, count in words.items() if count > 1] == []


def test_a_retired_phrase_in_prose_would_be_found_and_one_in_code_would_not() -> None:
    page = "The token stands in a file.\n\nRun `teamroom stands`.\n\n```text\nit stands there\n```\n"
    assert retired_phrases(page) == ["stands"]


def test_a_sentence_with_one_word_too_many_would_be_found() -> None:
    at_most = " ".join(["word"] * SENTENCE_WORDS)
    assert [word_count(sentence) for sentence in sentences(f"{at_most}. Then more {at_most}.\n")] == [
        SENTENCE_WORDS,
        SENTENCE_WORDS + 2,
    ]


def words_of(page: Path) -> str:
    """The words of a page, but those that programs take from the shell's help, the promises and the tools."""
    text = PART.sub(lambda part: "" if part["name"] in TAKEN_OVER else part["text"], read(page))
    return text.partition("\n## ")[0] if page.name == "tools.md" else text


def retired_phrases(text: str) -> list[str]:
    """The retired phrases in the prose of a text."""
    words = " ".join(prose(text).split())
    return [found.group() for found in re.finditer(rf"\b(?:{'|'.join(RETIRED)})\b", words, re.IGNORECASE)]


def word_count(sentence: str) -> int:
    """How many words a sentence has."""
    return len(re.findall(r"[\w`@'./:-]+", sentence))
