"""The reserve: disk space set aside so that agents can be stopped when the disk is full."""

import logging
import os
from pathlib import Path

from teamroom.server.private import check_private, open_private

log = logging.getLogger("teamroom.store")

RESERVE = "reserve"

LEAST_FREE_BYTES = 1_048_576
"""A room that starts with less free space than this releases its reserve at once."""


class Reserve:
    """A file in the data folder that is released when the disk is full, and allocated again when there is space.

    A reserve of size 0 has no file and counts as held. One thread at a time uses it.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._path = folder / RESERVE
        self.size = size
        self.is_held = size == 0

    def open(self) -> None:
        """Allocate the space, or release it if the disk is already full. Raises NotPrivateError."""
        check_private(self._path)
        if self.size and self.free() < LEAST_FREE_BYTES:
            self.is_held = True
            self.give_up("it is full at the start")
        elif not self.take():
            log.error("the disk is too full for a reserve: %s", self.wanted())

    def take(self) -> bool:
        """Whether the space is allocated. It is allocated now if twice as much is free."""
        if self.is_held:
            return True
        try:
            if self._is_whole() or self._allocate():
                self.is_held = True
        except OSError as error:
            log.warning("the reserve cannot be allocated: %s", error)
        return self.is_held

    def give_up(self, why: str) -> bool:
        """Release the space; returns whether there was any."""
        if not self.is_held or not self.size:
            return False
        self.is_held = False
        log.error("the disk is full (%s): only pause, resume, kill and revoke work, from the reserve", why)
        try:
            descriptor = open_private(self._path, os.O_WRONLY)
            try:
                os.ftruncate(descriptor, 0)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            pass
        except OSError:
            log.exception("the reserve could not be released")
        return True

    def calls_for_a_checkpoint(self, growth: int) -> bool:
        """Whether to checkpoint now, which lets the database grow by `growth` bytes.

        While the reserve is held: before the growth no longer fits. On a full disk: at once, because a checkpoint lets
        the write-ahead log start over, and further acts need no more space.
        """
        return growth * 2 > self.size > 0 if self.is_held else self.has_room_for(growth)

    def has_room_for(self, growth: int) -> bool:
        """Whether the database may grow by that many bytes. On a full disk, half of the free space is kept for acts."""
        return self.is_held or growth * 2 <= self.free()

    def wanted(self) -> str:
        """How much space must be free before every act is carried out again, in words."""
        return f"{self.free() / 1e6:.1f} MB are free, and {2 * self.size / 1e6:.1f} MB must be"

    def free(self) -> int:
        """The bytes that are free for the room on its disk; 0 if that is not known."""
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize

    def _is_whole(self) -> bool:
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            return False
        return found.st_size == self.size and found.st_blocks * 512 >= self.size

    def _allocate(self) -> bool:
        if self.free() < 2 * self.size:
            return False
        descriptor = open_private(self._path, os.O_WRONLY | os.O_CREAT)
        try:
            os.ftruncate(descriptor, 0)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, self.size)
            else:
                os.write(descriptor, bytes(self.size))
                os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, 0)
            raise
        finally:
            os.close(descriptor)
        return True
