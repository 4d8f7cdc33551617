"""The console script `teamroom`: loads all commands, and runs one."""

# isort: split
import gc
import sys
from importlib import import_module
from pkgutil import iter_modules

from teamroom.clients import shell
from teamroom.clients.shell.app import app
from teamroom.clients.shell.run import guarded
from teamroom.clients.shell.tree import command_tree

for _file in iter_modules(shell.__path__, f"{shell.__name__}."):
    if _file.name != __name__:
        import_module(_file.name)


def run(words: list[str]) -> int:
    """Run a command line; returns its exit code. Raises SystemExit where the command or its options end it."""
    return guarded(command_tree(app), words)


def main() -> None:
    """Run the command line of this process."""
    gc.disable()  # also where nothing did that earlier: most commands end before it would pay
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
