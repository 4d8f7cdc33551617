"""Full disks for tests: a real small one where this machine lets a test mount it, and a pretended one anywhere."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.store.sqlite.reserve import Reserve
from teamroom.server.store.sqlite.store import SqliteStore
from tests.support.stores import limit_pages

BALLAST = "ballast"
PAGE_BYTES = 4096


@dataclass
class SmallDisk:
    """A tmpfs of a few megabytes: the kernel itself says that it is full."""

    folder: Path

    def fill(self) -> None:
        """Leave not one free block."""
        with (self.folder / BALLAST).open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
            while ballast.write(bytes(PAGE_BYTES)):
                pass

    def make_room(self) -> None:
        """Take away what filled it."""
        (self.folder / BALLAST).unlink()


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A real disk of that size; the test is skipped where nothing can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "teamroom-test", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here ({done.stderr.strip()}); the tests on a pretended disk go on")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", str(folder)], timeout=10, check=True)


async def pretend_full(store: SqliteStore, patch: pytest.MonkeyPatch) -> None:
    """Let the database not grow by a page, but for what the reserve gives up; and let the disk say it is full."""
    given_up = Reserve.give_up

    def give_up(self: Reserve, why: str) -> bool:
        had = given_up(self, why)
        if had:
            allow_pages(store, self.size // PAGE_BYTES)
        return had

    patch.setattr(Reserve, "give_up", give_up)
    patch.setattr(Reserve, "free", lambda self: 0)
    await limit_pages(store, spare=0)


async def pretend_room(store: SqliteStore, patch: pytest.MonkeyPatch) -> None:
    """The pretended disk has room again."""
    patch.setattr(Reserve, "free", lambda self: 1 << 40)
    await limit_pages(store, spare=100_000)


def allow_pages(store: SqliteStore, more: int) -> None:
    """On the writer's thread: let the database grow by so many pages."""
    connection: Any = store.committer.connection
    limit = connection.execute("pragma max_page_count").fetchone()[0]
    connection.execute(f"pragma max_page_count = {limit + more}")
