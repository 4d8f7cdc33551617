"""Changes each rule in every small way, and counts which changes the tests of rules find.

`python -m tests.campaigns.mutants` changes all rules; `python -m tests.campaigns.mutants presence text` changes those
of these two files.

mutmut needs a plain tree, so it works in a copy in which the links under `src` are real folders. Each change that no
test finds is printed as a diff. `EQUIVALENT` says of some changes why no test can find them: these are not counted. The
run fails if an entry of `EQUIVALENT` is found after all, or no longer matches a change.
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
pytest_add_cli_args = ["-p", "no:cacheprovider", "-o", "testpaths=", "--hypothesis-profile=default"]
pytest_add_cli_args_test_selection = ["tests/rules"]
"""
RULES = "teamroom.server.rules."
NAMES = tuple(sorted(path.stem for path in (ROOT / "server" / "rules").glob("[!_]*.py")))
"""The files of rules."""

EQUIVALENT = {
    ("characters.x_described", "'CONTROL'"): "the name is put in lower case anyway",
    ("characters.x__changes", '(before, "XXXX")'): "neither default begins with CJK",
    ("exchanges.x_step", "Turn(0, None)"): "no member has the number None either",
    ("presence.x_next_wake_at", "mode, None)"): "the mode every:SECONDS contains its interval, so no setting is read",
    ("presence.x_next_wake_at", "or 1.0)"): "a member in the mode every:SECONDS always has an interval",
    ("presence.x_find_presence", "last_seen_at or 1.0"): "a member that called has a last call, and not in 1970",
    ("presence.x_assess", "connected_since or 1.0"): "no wake is as old as 1970",
    ("reminders.x_slots_passed", "at < now and"): "a slot at this very moment is also counted after the loop",
    ("reminders.x_slots_passed", "gap <= longest"): "once the gap is the longest, it stays the longest",
    ("reminders.x_slots_passed", "int((now - at) / longest)"): "both round down, as the number is not negative",
    ("reminders.x_fills_the_day", "strict=None"): "None and False mean the same",
    ("reminders.x_fills_the_day", "- 1 :], )"): "the default is False",
    ("reminders.x_slot_time", "gap > longest"): "once the gap is the longest, it stays the longest",
    ("reminders.x_first_seconds", "interval or 1.0"): "so few seconds are less than the shortest first delay",
}
"""Changes that do not alter a rule: the function, a piece of the changed line, and why no test can find it."""

FOUND = {"killed", "timeout", "suspicious", "segfault", "caught by type check"}


def copy(to: Path, names: Sequence[str]) -> None:
    """The project as a plain tree, with the settings by which mutmut changes the rules in the files of these names."""
    files = json.dumps([f"src/teamroom/server/rules/{name}.py" for name in names])
    settings = SETTINGS.replace("{files}", files)
    shutil.copytree(ROOT / "src", to / "src", symlinks=False, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", to / "tests", ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    (to / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + settings)


def results(folder: Path) -> dict[str, str]:
    """The outcome of each change, by its name."""
    listed = subprocess.run(
        [sys.executable, "-m", "mutmut", "results", "--all", "true"],
        cwd=folder,
        text=True,
        capture_output=True,
        check=True,
    )
    return dict(re.findall(r"^\s*(\S+): (.+)$", listed.stdout, re.M))


def difference(key: str, folder: Path) -> list[str]:
    """The lines that a change removes and adds."""
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
    """Print the share that was found in each file, and each change that was not.

    Returns the share of all, without equivalent ones, and the entries of `EQUIVALENT` that no longer match a change.
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
    """Run the campaign; returns 1 if too few changes were found."""
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
        console.print(f"{piece} in {function} is found or gone: remove it from EQUIVALENT", markup=False)
    return 0 if found and share >= ENOUGH and not stale and ran.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
