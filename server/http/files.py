"""How many descriptors the server may have open, and how they are shared out."""

import contextlib
import resource
from dataclasses import dataclass

FILES = (65_536, 10_240)
"""The limits that the server asks for, the highest first; a system may allow less than its hard limit says (macOS)."""

RESERVED_FILES = 128
"""Descriptors that connections never take: the store, the seal, a backup and a letter need them."""


def raise_file_limit() -> int:
    """Raise this process's soft limit of open files as far as `FILES` and the hard limit go. Returns the soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in FILES:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft == resource.RLIM_INFINITY or soft >= most:
            break
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            return most
    return FILES[0] if soft == resource.RLIM_INFINITY else min(soft, FILES[0])


@dataclass(frozen=True, slots=True)
class Shares:
    """How many connections may be open: in all, and of strangers."""

    all: int
    strangers: int

    @property
    def members(self) -> int:
        """What strangers never take."""
        return self.all - self.strangers


def shares(files: int, strangers: int) -> Shares:
    """Share so many descriptors out: some to the rest of the server, at most half of the others to strangers."""
    most = files - min(RESERVED_FILES, files // 2)
    return Shares(most, min(strangers, most // 2))
