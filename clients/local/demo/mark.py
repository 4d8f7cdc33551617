"""The mark in a data folder that tells a demo's room from a real one."""

from pathlib import Path

from teamroom.server.private import check_private, write_private

MARK = "room.demo"
"""The file that says that the room in its folder is a demo's."""

WORDS = """The room in this folder was made by `teamroom demo`. The next demo here replaces it.
`teamroom up` turns it into a real room, and removes this file.
"""


def mark_demo(folder: Path) -> None:
    """Say that the room in a private folder is a demo's. Raises OSError."""
    write_private(folder / MARK, WORDS)


def is_demo(folder: Path) -> bool:
    """Whether the room in a folder is a demo's. Raises NotPrivateError if somebody else says so."""
    check_private(folder / MARK)
    return (folder / MARK).is_file()


def forget_demo(folder: Path) -> None:
    """Count the room in a folder as a real one from now on."""
    (folder / MARK).unlink(missing_ok=True)
