"""The pages of this repository, read as text: their blocks, their prose, and the parts that programs write."""

import re
from pathlib import Path
from textwrap import dedent

from tests.support.repository import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
"""Every page that people read."""

PART = re.compile(r"(?P<begin><!-- generated: (?P<name>[\w-]+) -->\n)(?P<text>.*?)(?P<end><!-- end -->)", re.DOTALL)
"""A part of a page that `python -m tests.support.generated` writes."""

FENCED = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")


def read(page: Path) -> str:
    """The text of a page."""
    return page.read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language, in order, without the indent of a list around them."""
    return [dedent(found["text"]) for found in FENCED.finditer(text) if found["language"] == language]


def spans(text: str) -> list[str]:
    """The inline code of a page."""
    return [span.strip("`") for span in CODE.findall(FENCED.sub("", text))]


def commands(text: str, program: str) -> list[str]:
    """Every command line of a program that a page shows, in blocks and in inline code."""
    lines = [
        line.removeprefix("$ ")
        for kind in ("sh", "text")
        for block in blocks(text, kind)
        for line in block.splitlines()
    ]
    return [line.strip() for line in [*lines, *spans(text)] if re.match(rf" *{program} [a-z-]", line)]


def parts(text: str) -> dict[str, str]:
    """The generated parts of a page, by name."""
    return {found["name"]: found["text"] for found in PART.finditer(text)}


def with_parts(text: str, written: dict[str, str]) -> str:
    """A page with each of its generated parts as it is written now."""
    return PART.sub(lambda found: found["begin"] + written[found["name"]] + found["end"], text)


def by_hand(text: str) -> str:
    """What people wrote of a page."""
    return PART.sub("", text)


def prose(text: str) -> str:
    """The words of a page without blocks, inline code and the targets of links."""
    words = CODE.sub("`code`", FENCED.sub("", text))
    return re.sub(r"\]\([^)]*\)", "]", words)


def sentences(text: str) -> list[str]:
    """The sentences of the prose of a page: of its paragraphs, its lists and the cells of its tables."""
    blocks_of_words = re.split(r"\n\s*\n|\n\s*(?=(?:[-*]|\d+\.|\||#+) )|\|", prose(text))
    joined = (" ".join(block.split()).lstrip("-*#| ") for block in blocks_of_words)
    found = (sentence for block in joined for sentence in re.split(r"(?<=[.!?:])[*\"”]* (?=\W*[A-Z`@\[])", block))
    return [sentence for sentence in found if sentence]
