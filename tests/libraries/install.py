"""Installs the libraries that requirements/ pins: python -m tests.libraries.install. What is there already stays."""

import os
import time
from pathlib import Path

from tests.support.environments import Environment

REQUIREMENTS = Path(__file__).with_name("requirements")

LIBRARIES = tuple(sorted(path.stem for path in REQUIREMENTS.glob("*.in")))
"""Each library that is pinned, by the name of its requirement file and of its environment."""

NEWER = {"fast-agent": "3.13"}
"""What needs another version of Python than the room."""

MEMBERS = tuple(library for library in LIBRARIES if library not in NEWER)
"""The libraries with which members are written."""


def cache_folder() -> Path:
    """Where the environments live: TEAMROOM_LIBRARY_CACHE, else a folder of the user's cache."""
    chosen = os.environ.get("TEAMROOM_LIBRARY_CACHE")
    return Path(chosen).resolve() if chosen else Path.home() / ".cache" / "teamroom-libraries"


def environment(library: str) -> Environment:
    """The environment of a library."""
    return Environment(REQUIREMENTS / f"{library}.txt", cache_folder() / library, NEWER.get(library, ""))


def python(library: str) -> Path:
    """The Python of a library's environment."""
    return environment(library).python


def installed(library: str) -> bool:
    """Whether a library's environment was made from what is pinned now, and its Python is still there."""
    return environment(library).is_installed


def main() -> int:
    """Install what is not there yet, and say where it is."""
    for library in LIBRARIES:
        found = environment(library)
        if found.base_python is None:
            print(f"{library} is left out: it needs Python {found.version}, and this machine has none")
            continue
        if not found.is_installed:
            print(f"Installing {library}: 25 to 130 MB to load", flush=True)
            begun = time.monotonic()
            found.install()
            print(f"Installed in {time.monotonic() - begun:.0f} s")
        print(f"{found.python} has {found.pin}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
