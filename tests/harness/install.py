"""Installs the harnesses that package.json pins: python -m tests.harness.install. What is there already stays."""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """The npm package that brings a harness, and where its command is in node_modules.

    `only_on`: the one kind of machine that it is for; empty if it is for each.
    """

    name: str
    command: str
    only_on: str = ""


PACKAGES = {
    "claude": Package("@anthropic-ai/claude-code", ".bin/claude"),
    "codex": Package("@openai/codex", ".bin/codex"),
    "gemini": Package("@google/gemini-cli", ".bin/gemini"),
    "opencode": Package("opencode-linux-x64", "opencode-linux-x64/bin/opencode", only_on="linux-x86_64"),
    "copilot": Package("@github/copilot", ".bin/copilot"),
}
"""Each harness by the name of its command. OpenCode is pinned as its package for Linux; npm leaves it out elsewhere."""

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
    return cache_folder() / "node_modules" / PACKAGES[name].command


def pinned() -> dict[str, str]:
    """The version that each harness must have."""
    manifest = json.loads(Path(__file__).with_name("package.json").read_text())
    versions = manifest["dependencies"] | manifest["optionalDependencies"]
    return {name: versions[package.name] for name, package in PACKAGES.items()}


def lacking(*names: str) -> list[str]:
    """Those of some harnesses that are not installed in their pinned version, each with what was found."""
    return [
        f"{name} {pinned()[name]} is not in {cache_folder()}" + (f" but {found}" if found else "")
        for name in names
        if (found := installed(name)) != pinned()[name]
    ]


def installed(name: str) -> str | None:
    """The version of a harness that is installed; None where there is none."""
    manifest = cache_folder() / "node_modules" / PACKAGES[name].name / "package.json"
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
    return answer.returncode == 0 and version in (word.rstrip(".") for word in answer.stdout.split())


def install() -> None:
    """Install the harnesses from the npm registry, as the lock file has them."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for name in MANIFESTS:
        shutil.copyfile(Path(__file__).with_name(name), folder / name)
    subprocess.run(NPM, cwd=folder, timeout=INSTALL_SECONDS, check=True)
    put_in_place = folder / "node_modules" / PACKAGES["claude"].name / "install.cjs"
    subprocess.run(["node", put_in_place], timeout=INSTALL_SECONDS, check=True)


def main() -> int:
    """Install what does not start yet; the exit code says whether every harness for this machine does now."""
    here = f"{sys.platform}-{platform.machine()}"
    wanted = {name: version for name, version in pinned().items() if PACKAGES[name].only_on in ("", here)}
    if not all(starts(name, version) for name, version in wanted.items()):
        if shutil.which("npm") is None:
            print("The harnesses come from npm, and there is no npm here: install Node 18 or newer.", file=sys.stderr)
            return 1
        print(f"Installing into {cache_folder()}: about 500 MB to load, 1.3 GB on disk", flush=True)
        begun = time.monotonic()
        install()
        print(f"Installed in {time.monotonic() - begun:.0f} s")
    failed = [name for name, version in wanted.items() if not starts(name, version)]
    for name, version in wanted.items():
        print(f"{binary(name)} {version} {'does not start' if name in failed else 'starts'}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
