"""The page's own files: style, script and the one library. A name changes with its content, so browsers keep it."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from teamroom.server.http.visits import Answer

FOLDER = Path(__file__).parent / "static"

PATH = "/static/"

HASH_CHARACTERS = 12

KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

FOREVER = ((b"cache-control", b"public, max-age=31536000, immutable"),)

FILES = ("page.css", "page.js", "vendor/idiomorph.min.js", "icon.svg")


@dataclass(frozen=True, slots=True)
class Vendored:
    """A library that is part of the page: from npm, whole and unchanged.

    `integrity`: of its package, as npm states it; `sha256`: of the file.
    """

    file: str
    name: str
    version: str
    licence: str
    integrity: str
    sha256: str


VENDORED = (
    Vendored(
        "vendor/idiomorph.min.js",
        "idiomorph",
        "0.8.0",
        "0BSD",
        "sha512-R47JBL+6jHDQvcnbppIUtXXcxi5h6+wuCEEZXnRhUltsgzPFKzThL5PuHppP9ypJuy+7WawcY1TsSBD/iQbMhw==",
        "4cbd535caf7663a51eda9bce6595371c384fc430d54b8d414e29a61167f19f96",
    ),
)


@cache
def assets() -> dict[str, Answer]:
    """The files by the paths under which pages name them."""
    return {path_of(file): _answer(file) for file in FILES}


@cache
def path_of(file: str) -> str:
    """The path of a file, with a hash of its content."""
    stem, _, ending = file.rpartition(".")
    return f"{PATH}{stem}.{hashlib.sha256(_read(file)).hexdigest()[:HASH_CHARACTERS]}.{ending}"


def _answer(file: str) -> Answer:
    return Answer(_read(file), kind=KINDS[Path(file).suffix], headers=FOREVER)


@cache
def _read(file: str) -> bytes:
    return (FOLDER / file).read_bytes()
