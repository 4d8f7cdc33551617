"""Changes each rule in every small way, and counts which changes the tests of rules find.

`python -m tests.campaigns.mutants` changes all rules; `python -m tests.campaigns.mutants presence text` changes those
of these two files.

mutmut wants a plain tree, so it works in a copy in which the links under `src` are the folders they lead to. What it
leaves is printed as a difference each. `EQUIVALENT` says of some of them why no test can tell them apart: these are
printed apart, and one of them that is found, or is no change any more, fails the run.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from tests.support.repository import ROOT

ENOUGH = 0.9
"""The share of changes that must be found in each run."""

SETTINGS = """
[tool.mutmut]
source_paths = ["src/"]
only_mutate = {files}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-o", "testpaths="]
pytest_add_cli_args_test_selection = ["tests/rules"]
"""
RULES = "teamroom.server.rules."
NAMES = tuple(sorted(path.stem for path in (ROOT / "server" / "rules").glob("[!_]*.py")))
"""The files of rules."""

EQUIVALENT = {
    ("characters.x_described", "'CONTROL'"): "the name is put in lower case anyway",
    ("characters.x__has_work", '(before, "XXXX")'): "what has no name begins with CJK as little under another one",
    ("exchanges.x_step", "Turn(0, None)"): "no member has this number either",
    ("presence.x_next_wake_at", "mode, None)"): "the interval of who wakes by itself stands in its mode",
    ("presence.x_next_wake_at", "or 1.0)"): "who wakes by itself has an interval",
    ("presence.x_find_presence", "last_seen_at or 1.0"): "a member that called has a last call, and not in 1970",
    ("presence.x_assess", "connected_since or 1.0"): "no wake is as old as 1970",
    ("reminders.x_slots_passed", "at < now and"): "a slot that is now is counted behind the loop, too",
    ("reminders.x_slots_passed", "gap <= longest"): "once the gap is the longest, it stays so",
    ("reminders.x_slots_passed", "int((now - at) / longest)"): "of what is not negative both take the whole part",
    ("reminders.x_fills_the_day", "strict=None"): "None is as little as False",
    ("reminders.x_fills_the_day", "- 1 :], )"): "what is not said is False",
    ("reminders.x_slot_time", "gap > longest"): "once the gap is the longest, it stays so",
    ("reminders.x_first_seconds", "interval or 1.0"): "so many seconds are less than the shortest first span",
    ("characters.x__is_emoji", r'"\U0001f000" < character'): "this first character is let in as a symbol (So) too",
}
"""Changes that leave a rule what it is: the function and a piece of the changed line, and why nobody can tell."""

FOUND = {"killed", "timeout", "suspicious", "segfault", "caught by type check"}


def copy(to: Path, names: Sequence[str]) -> None:
    """The project as a plain tree, with the settings by which mutmut changes the rules in the files of these names."""
    files = json.dumps([f"src/teamroom/server/rules/{name}.py" for name in names])
    settings = SETTINGS.replace("{files}", files)
    shutil.copytree(ROOT / "src", to / "src", symlinks=False, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", to / "tests", ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    (to / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + settings)


def results(folder: Path) -> dict[str, str]:
    """What became of each change, by its name."""
    said = subprocess.run(
        [sys.executable, "-m", "mutmut", "results", "--all", "true"],
        cwd=folder,
        text=True,
        capture_output=True,
        check=True,
    )
    return dict(re.findall(r"^\s*(\S+): (.+)$", said.stdout, re.M))


def difference(key: str, folder: Path) -> list[str]:
    """The lines that a change takes away and adds."""
    shown = subprocess.run(
        [sys.executable, "-m", "mutmut", "show", key], cwd=folder, text=True, capture_output=True, check=False
    )
    return [line for line in shown.stdout.splitlines() if re.match(r"[-+](?![-+])", line)]


def equivalent(key: str, changed: list[str]) -> tuple[str, str] | None:
    """The entry of `EQUIVALENT` that names a change, if any."""
    function = key.removeprefix(RULES).partition("__mutmut")[0]
    added = [line for line in changed if line.startswith("+")]
    named = [entry for entry in EQUIVALENT if entry[0] == function and any(entry[1] in line for line in added)]
    return named[0] if named else None


def expected(names: Sequence[str]) -> set[tuple[str, str]]:
    """The entries of `EQUIVALENT` for the files of these names."""
    return {entry for entry in EQUIVALENT if entry[0].partition(".")[0] in names}


def report(
    console: Console, found: dict[str, str], folder: Path, names: Sequence[str] = NAMES
) -> tuple[float, set[tuple[str, str]]]:
    """Draw the share of each file and show what was not found.

    Returns the share of all, equivalent ones not counted, and which entries of `EQUIVALENT` nothing fits any more.
    """
    left = {key: difference(key, folder) for key, outcome in found.items() if outcome not in FOUND}
    same = {key: entry for key, changed in left.items() if (entry := equivalent(key, changed)) is not None}
    table = Table("rules", "changes", "found", "", box=None)
    for name in sorted({key.split(".x")[0] for key in found}):
        of = [key not in left for key in found if key.split(".x")[0] == name and key not in same]
        table.add_row(name.removeprefix(RULES), str(len(of)), str(sum(of)), ProgressBar(len(of), sum(of), width=30))
    console.print(table)
    for key, changed in left.items():
        why = f"equivalent: {EQUIVALENT[same[key]]}" if key in same else found[key]
        console.print(
            f"{key.removeprefix(RULES)} ({why})", *changed, sep="\n", markup=False, highlight=False, soft_wrap=True
        )
    counted = len(found) - len(same)
    return (counted - len(left) + len(same)) / max(counted, 1), expected(names) - set(same.values())


def main() -> int:
    """Run it; 1 where fewer than enough were found."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.mutants", description="Change each rule.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"a file of rules; default all: {', '.join(NAMES)}")
    names = parser.parse_args().names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"no file of rules: {', '.join(sorted(unknown))}")
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy(folder, names)
        ran = subprocess.run([sys.executable, "-m", "mutmut", "run"], cwd=folder, check=False)
        found = results(folder)
        share, stale = report(console, found, folder, names)
    same = len(expected(names)) - len(stale)
    console.print(f"{len(found)} changes, {same} of them equivalent, {share:.1%} of the others found", end="; ")
    console.print(f"{ENOUGH:.0%} are enough")
    for function, piece in sorted(stale):
        console.print(f"no test misses {piece} in {function} any more: take it out of EQUIVALENT", markup=False)
    return 0 if found and share >= ENOUGH and not stale and ran.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
