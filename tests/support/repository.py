"""Where this repository is, for tests that read its own files."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "server"
TESTS = ROOT / "tests"
