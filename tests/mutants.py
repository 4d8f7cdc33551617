"""Changes each rule in every small way, and counts which changes the tests of rules find: `python -m tests.mutants`.

mutmut wants a plain tree, so it works in a copy in which the links under `src` are the folders they lead to. What it
leaves is printed as a difference each: `EQUIVALENT` says of some of them why no test can tell them apart.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

ROOT = Path(__file__).parents[1]
ENOUGH = 0.9
"""The share of changes that must be found in each run."""

TESTS = ["test_rules", "test_rule_bounds", "test_characters", "test_names", "test_routing", "test_quiet_rules"]
SETTINGS = """
[tool.mutmut]
source_paths = ["src/"]
only_mutate = ["src/teamroom/server/rules/*.py"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-o", "testpaths="]
pytest_add_cli_args_test_selection = [{tests}]
"""
FOUND = {"killed", "timeout", "suspicious", "segfault", "caught by type check"}


def copy(to: Path) -> None:
    """The project as a plain tree."""
    shutil.copytree(ROOT / "src", to / "src", symlinks=False, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", to / "tests", ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    tests = ", ".join(f'"tests/{name}.py"' for name in TESTS if (to / "tests" / f"{name}.py").exists())
    (to / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + SETTINGS.format(tests=tests))


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


def report(console: Console, found: dict[str, str], folder: Path) -> float:
    """Draw the share of each file, show what was not found, and return the share of all."""
    table = Table("rules", "changes", "found", "", box=None)
    for name in sorted({key.split(".x")[0] for key in found}):
        of = [outcome in FOUND for key, outcome in found.items() if key.split(".x")[0] == name]
        table.add_row(name.rpartition(".")[2], str(len(of)), str(sum(of)), ProgressBar(len(of), sum(of), width=30))
    console.print(table)
    for key, outcome in found.items():
        if outcome not in FOUND:
            shown = subprocess.run(
                [sys.executable, "-m", "mutmut", "show", key], cwd=folder, text=True, capture_output=True, check=False
            )
            changed = [line for line in shown.stdout.splitlines() if re.match(r"[-+](?![-+])", line)]
            console.print(f"{key} ({outcome})", *changed, sep="\n", markup=False, highlight=False)
    return sum(outcome in FOUND for outcome in found.values()) / max(len(found), 1)


def main() -> int:
    """Run it all; 1 where fewer than enough were found."""
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy(folder)
        ran = subprocess.run([sys.executable, "-m", "mutmut", "run"], cwd=folder, check=False)
        found = results(folder)
        share = report(console, found, folder)
    console.print(f"{len(found)} changes, {share:.1%} found; {ENOUGH:.0%} are enough")
    return 0 if found and share >= ENOUGH and ran.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
