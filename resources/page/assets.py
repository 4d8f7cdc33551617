"""The page's own files: style, script and the one library. Their folder is named after them, so browsers keep them."""

import gzip
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

FILES = (
    "page.css",
    "page.js",
    "live.js",
    "changes.js",
    "stops.js",
    "keys.js",
    "vendor/idiomorph.min.js",
    "icon.svg",
)


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
    """The path of a file. It has a hash of all files, so that one which names another gets the one that it knows."""
    return f"{PATH}{_hash()}/{file}"


@cache
def _hash() -> str:
    return hashlib.sha256(b"".join(map(_read, FILES))).hexdigest()[:HASH_CHARACTERS]


def _answer(file: str) -> Answer:
    body = _read(file)
    return Answer(body, kind=KINDS[Path(file).suffix], headers=FOREVER, gzipped=gzip.compress(body, mtime=0))


@cache
def _read(file: str) -> bytes:
    return (FOLDER / file).read_bytes()
