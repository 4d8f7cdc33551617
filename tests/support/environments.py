"""Python environments for programs that tests run beside the room: each holds what a file with hashes pins."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

INSTALL_SECONDS = 300


@dataclass(frozen=True)
class Environment:
    """One environment. `pins`: what it holds, with hashes; the file next to it that ends in `.in` names the program.

    `version`: the Python that it needs; empty for the one that runs the tests.
    """

    pins: Path
    folder: Path
    version: str = ""

    @property
    def python(self) -> Path:
        """The Python of the environment."""
        return self.folder / "bin" / "python"

    @property
    def is_installed(self) -> bool:
        """Whether it was made from what is pinned now, and its Python is still there."""
        return self.python.exists() and self._stamp.exists() and self._stamp.read_bytes() == self.pins.read_bytes()

    @property
    def base_python(self) -> str | None:
        """The Python from which it is made; None if this machine has none of its version."""
        if not self.version:
            return sys.executable
        homes = Path.home().glob(f".pyenv/versions/{self.version}.*/bin/python")
        found = [shutil.which(f"python{self.version}"), *map(str, homes)]
        return next((path for path in found if path is not None and _runs(path)), None)

    @property
    def pin(self) -> str:
        """The program itself with its version, without its extras."""
        name = self.pins.with_suffix(".in").read_text().strip().partition("=")[0].partition("[")[0]
        lines = self.pins.read_text().splitlines()
        return next(line.partition(" ")[0] for line in lines if line.startswith(f"{name}=="))

    def install(self) -> None:
        """Remove it, and make it again. Raises CalledProcessError or TimeoutExpired."""
        base = self.base_python
        assert base is not None
        shutil.rmtree(self.folder, ignore_errors=True)
        _uv("venv", "--no-project", "--python", base, str(self.folder))
        _uv("pip", "sync", "--require-hashes", "--python", str(self.python), str(self.pins))
        shutil.copyfile(self.pins, self._stamp)

    @property
    def _stamp(self) -> Path:
        """A copy of what it was made from, written last."""
        return self.folder / "installed.txt"


def _runs(python: str) -> bool:
    """Whether a program is a Python: what is on the path can also be a stub that finds none."""
    return subprocess.run([python, "-c", ""], capture_output=True, timeout=INSTALL_SECONDS).returncode == 0


def _uv(*words: str) -> None:
    command = [sys.executable, "-m", "uv", *words[:1], "--quiet", *words[1:]]
    subprocess.run(command, timeout=INSTALL_SECONDS, check=True)
