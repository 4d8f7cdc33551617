"""Installs the harnesses that package.json pins: python -m tests.harness.install. What is there already stays."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

BINARIES = {"claude": "@anthropic-ai/claude-code", "codex": "@openai/codex"}
"""Each harness's command and the npm package that brings it."""

MANIFESTS = ("package.json", "package-lock.json")

NPM = ("npm", "ci", "--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund", "--loglevel=error")
"""npm without install scripts, which newer npm wants approved; its Node only has to run npm, not the harnesses."""

VERSION_SECONDS = 20
INSTALL_SECONDS = 900


def cache_folder() -> Path:
    """Where the harnesses live: TEAMROOM_HARNESS_CACHE, else a folder of the user's cache."""
    chosen = os.environ.get("TEAMROOM_HARNESS_CACHE")
    return Path(chosen).resolve() if chosen else Path.home() / ".cache" / "teamroom-harnesses"


def binary(name: str) -> Path:
    """The command of a harness."""
    return cache_folder() / "node_modules" / ".bin" / name


def pinned() -> dict[str, str]:
    """The version that each harness must have."""
    manifest = json.loads(Path(__file__).with_name("package.json").read_text())
    return {name: manifest["dependencies"][package] for name, package in BINARIES.items()}


def lacking() -> list[str]:
    """The harnesses that are not installed in their pinned version, each with what was found."""
    return [
        f"{name} {version} is not in {cache_folder()}" + (f" but {found}" if found else "")
        for name, version in pinned().items()
        if (found := installed(name)) != version
    ]


def installed(name: str) -> str | None:
    """The version of a harness that is installed; None where there is none."""
    manifest = cache_folder() / "node_modules" / BINARIES[name] / "package.json"
    if not binary(name).exists() or not manifest.exists():
        return None
    return str(json.loads(manifest.read_text())["version"])


def starts(name: str, version: str) -> bool:
    """Whether a harness starts and is the version it should be."""
    try:
        answer = subprocess.run(
            [str(binary(name)), "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        )
    except OSError:
        return False
    return answer.returncode == 0 and version in answer.stdout.split()


def install() -> None:
    """Install both harnesses from the npm registry, as the lock file has them."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for name in MANIFESTS:
        shutil.copyfile(Path(__file__).with_name(name), folder / name)
    subprocess.run(NPM, cwd=folder, timeout=INSTALL_SECONDS, check=True)
    put_in_place = folder / "node_modules" / BINARIES["claude"] / "install.cjs"
    subprocess.run(["node", put_in_place], timeout=INSTALL_SECONDS, check=True)


def main() -> int:
    """Install what does not start yet; the exit code says whether both harnesses do now."""
    wanted = pinned()
    if not all(starts(name, version) for name, version in wanted.items()):
        if shutil.which("npm") is None:
            print("The harnesses come from npm, and there is no npm here: install Node 18 or newer.", file=sys.stderr)
            return 1
        print(f"Installing into {cache_folder()}: about 300 MB to load, 800 MB on disk", flush=True)
        begun = time.monotonic()
        install()
        print(f"Installed in {time.monotonic() - begun:.0f} s")
    failed = [name for name, version in wanted.items() if not starts(name, version)]
    for name, version in wanted.items():
        print(f"{binary(name)} {version} {'does not start' if name in failed else 'starts'}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
