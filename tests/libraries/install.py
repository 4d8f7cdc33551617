"""Installs the libraries that requirements/ pins: python -m tests.libraries.install. What is there already stays."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements")

LIBRARIES = tuple(sorted(path.stem for path in REQUIREMENTS.glob("*.in")))
"""Each library that is pinned, by the name of its requirement file and of its environment."""

NEWER = {"fast-agent": "3.13"}
"""What needs another version of Python than the room."""

MEMBERS = tuple(library for library in LIBRARIES if library not in NEWER)
"""The libraries with which members are written."""

INSTALL_SECONDS = 300


def cache_folder() -> Path:
    """Where the environments live: TEAMROOM_LIBRARY_CACHE, else a folder of the user's cache."""
    chosen = os.environ.get("TEAMROOM_LIBRARY_CACHE")
    return Path(chosen).resolve() if chosen else Path.home() / ".cache" / "teamroom-libraries"


def python(library: str) -> Path:
    """The Python of a library's environment."""
    return cache_folder() / library / "bin" / "python"


def pinned(library: str) -> Path:
    """What a library's environment holds, with hashes."""
    return REQUIREMENTS / f"{library}.txt"


def installed(library: str) -> bool:
    """Whether a library's environment was made from what is pinned now, and its Python is still there."""
    stamp = _stamp(library)
    return python(library).exists() and stamp.exists() and stamp.read_bytes() == pinned(library).read_bytes()


def base_python(library: str) -> str | None:
    """The Python from which a library's environment is made; None if this machine has none of its version."""
    version = NEWER.get(library)
    if version is None:
        return sys.executable
    found = [shutil.which(f"python{version}"), *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    return next((path for path in found if path is not None and _runs(path)), None)


def _runs(python: str) -> bool:
    """Whether a program is a Python: what is on the path can also be a stub that finds none."""
    return subprocess.run([python, "-c", ""], capture_output=True, timeout=INSTALL_SECONDS).returncode == 0


def install(library: str) -> None:
    """Make a library's environment anew. Raises CalledProcessError or TimeoutExpired."""
    folder, base = cache_folder() / library, base_python(library)
    assert base is not None
    shutil.rmtree(folder, ignore_errors=True)
    _uv("venv", "--no-project", "--python", base, str(folder))
    _uv("pip", "sync", "--require-hashes", "--python", str(python(library)), str(pinned(library)))
    shutil.copyfile(pinned(library), _stamp(library))


def main() -> int:
    """Install what is not there yet, and say where it is."""
    for library in LIBRARIES:
        if base_python(library) is None:
            print(f"{library} is left out: it needs Python {NEWER[library]}, and this machine has none")
            continue
        if not installed(library):
            print(f"Installing {library}: 25 to 130 MB to load", flush=True)
            begun = time.monotonic()
            install(library)
            print(f"Installed in {time.monotonic() - begun:.0f} s")
        print(f"{python(library)} has {_first_version(library)}")
    return 0


def _stamp(library: str) -> Path:
    """A copy of what an environment was made from, written last."""
    return cache_folder() / library / "installed.txt"


def _first_version(library: str) -> str:
    """The pin of the library itself, without its extras."""
    name = (REQUIREMENTS / f"{library}.in").read_text().strip().partition("=")[0].partition("[")[0]
    lines = pinned(library).read_text().splitlines()
    return next(line.partition(" ")[0] for line in lines if line.startswith(f"{name}=="))


def _uv(*words: str) -> None:
    command = [sys.executable, "-m", "uv", *words[:1], "--quiet", *words[1:]]
    subprocess.run(command, timeout=INSTALL_SECONDS, check=True)


if __name__ == "__main__":
    raise SystemExit(main())
