"""How texts and queries become words that a search index can compare.

An index of words sees a run of Chinese, Japanese, Korean, Thai and similar scripts as one word, because there are no
spaces in it. So each of its characters becomes a word, in texts and in queries, and a part of a run is found as
characters that follow each other. The names of programs are also found by their parts: `sessionRestart` by `restart`.
SQLite's tokenizer does the rest: it separates at punctuation, and ignores case and accents.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from teamroom.server.rules.text import ELLIPSIS

SEARCHED_WORDS, SEARCHED_CHARACTERS = 10, 16
"""How many words of a search count, and how many characters of runs without spaces; further ones are left out."""

LONGER = 2
"""A text that normalization makes longer than this many times is not normalized."""

UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e"  # Thai
    "\u0e80-\u0ece\u0edc-\u0edf"  # Lao
    "\u0f40-\u0f84\u0f88-\u0fbc"  # Tibetan
    "\u1000-\u103f\u104c-\u108f\u109a-\u109f\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f"  # Burmese
    "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7fb"  # Korean
    "\u1780-\u17d3\u17d7\u17dc-\u17dd"  # Khmer
    "\u1950-\u1974\u1980-\u19c9\u1a00-\u1a1b\u1a20-\u1a7c\uaa80-\uaadd"  # Tai Le, Tai Lue, Buginese, Tai Tham, Tai Viet
    "\u1b00-\u1b4b\ua980-\ua9c0"  # Balinese, Javanese
    "\u2e80-\u2fd5\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303b"  # radicals and marks of ideographs
    "\u3041-\u3096\u3099-\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # Japanese kana
    "\u3105-\u312f\u31a0-\u31bf\ua000-\ua48c"  # Bopomofo, Yi
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufad9\U00020000-\U000323af"  # ideographs
    "\U00016fe0-\U00018d08\U0001aff0-\U0001b2fb"  # Tangut, Nushu, older kana
)
"""The scripts that are written without spaces between words, or with words that contain others."""

_RUN = re.compile(f"[{UNSPACED}]+")
_SILENT = re.compile("[\u00ad\u034f\u0640\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]+")
"""Characters inside a word that readers do not see, such as the break that Khmer has between words."""

_TERM = re.compile(r'"([^"]*)"(\*?)')
_WORD = re.compile(r"[^\W_]+")
_ACCENTS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")

SATURATION, LENGTH_SHARE = 1.2, 0.75
"""How soon more of the same word counts no more, and how much of its length counts against a text, as BM25 has them."""

_NAME = re.compile(r"[A-Za-z0-9]+")
_HUMP = re.compile(r"[A-Z](?:(?<=[a-z0-9].)|(?<=[A-Z].)(?=[a-z]))")
"""A capital letter where a part of a name begins. It begins with a letter to look for, which is six times as fast."""

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def index_words(text: str) -> str:
    """The words by which a text is found, for the tokenizer of the index."""
    parts = list(_parts_of_names(text)) if _HUMP.search(text) else []
    if not text.isascii() and not (text := text.removesuffix(ELLIPSIS)).isascii():
        text = _RUN.sub(lambda run: f" {' '.join(run[0])} ", _normal(text))
    return f"{text} {' '.join(parts)}" if parts else text


def parse_search(query: str) -> str:
    """The first words of a search as an expression for the index, in which none of it is syntax; empty without words.

    What is written together, such as T-12, is looked for as it stands. The last word may be the beginning of one.
    """
    terms: dict[str, None] = {}
    words, characters = SEARCHED_WORDS, SEARCHED_CHARACTERS
    for term in _normal(query).casefold().replace('"', " ").split():
        kept: list[str] = []
        for piece in _pieces(term):
            if _RUN.match(piece):
                kept += piece[:characters]
                characters -= min(len(piece), characters)
            elif words:
                kept.append(piece)
                words -= 1
        if kept:
            terms[" ".join(kept)] = None
    *whole, last = terms or [""]
    is_beginning = last and not _RUN.match(last[-1])
    return " ".join([*(f'"{term}"' for term in whole), f'"{last}"{"*" if is_beginning else ""}']) if last else ""


def only_whole(words: str) -> str:
    """An expression of `parse_search` with its last word as a whole one."""
    return words.removesuffix("*")


def rank_texts(words: str, texts: Sequence[str]) -> list[float]:
    """How well each of these texts, which all match an expression of `parse_search`, answers it: more is better.

    A text counts more the more often it has a word, and the less else it says, as in BM25. All of them have each
    word, so no word tells more than another.
    """
    terms = [f" {_spaced(term)}{'' if beginning else ' '}" for term, beginning in _TERM.findall(words)]
    found = [f" {_spaced(index_words(text))} " for text in texts]
    lengths = [text.count(" ") for text in found]
    average = sum(lengths) / max(len(lengths), 1) or 1.0
    return [
        sum(_weight(text.count(term), length / average) for term in terms)
        for text, length in zip(found, lengths, strict=True)
    ]


def _weight(times: int, length: float) -> float:
    return times * (SATURATION + 1) / (times + SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * length))


def _spaced(words: str) -> str:
    """Words without case and accents, with two spaces between them: so each has spaces of its own."""
    if not words.isascii():
        words = _ACCENTS.sub("", unicodedata.normalize("NFD", words))
    return "  ".join(_WORD.findall(words.casefold()))


def _parts_of_names(text: str) -> Iterator[str]:
    """The parts of each name that capital letters divide."""
    for name in _NAME.findall(text):
        if _HUMP.search(name):
            yield from _PART.findall(name)


def _pieces(term: str) -> Iterator[str]:
    """The runs of a term and the words between them. Marks of other scripts stay with their words."""
    at = 0
    for run in [*_RUN.finditer(term), None]:
        between = term[at : len(term) if run is None else run.start()]
        words = "".join(c if c.isalnum() or unicodedata.category(c).startswith("M") else " " for c in between).split()
        yield from (word for word in words if any(map(str.isalnum, word)))
        if run is not None:
            yield run[0]
            at = run.end()


def _normal(text: str) -> str:
    """A text in one form, without what nobody sees: full-width letters become ordinary ones, and ß becomes ss."""
    if text.isascii():
        return text
    normal = unicodedata.normalize("NFKC", text).casefold()
    return _SILENT.sub("", normal if len(normal) <= LONGER * len(text) else text)
