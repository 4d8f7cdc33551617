"""A harness that a watchdog keeps: the entry of its listener in the room's `runtimes.toml`."""

import re
from pathlib import Path

from teamroom.clients.harnesses.description import ConfigFile, Harness, Seat
from teamroom.clients.harnesses.entries import Put

CONFIG = "runtimes.toml"
"""The watchdog's config, in the data folder: all members that are kept there on this machine are in it."""


def runtimes_file(data: Path) -> Path:
    """Return the watchdog's config in a data folder."""
    return data / CONFIG


def listener_of(harness: Harness, seat: Seat, *options: str) -> tuple[str, ...]:
    """Return the command that listens for a member, and starts its harness for each wake."""
    name, *place = seat.who[1:]
    return (*seat.program, "listen", "--as", name, *place, *options, "--", *harness.run)


def runtime_of(harness: Harness, seat: Seat) -> ConfigFile:
    """Return the entry of a member: its listener, where it runs, and how the watchdog finds it in a list."""
    entry = {
        "start": list(listener_of(harness, seat, "--stay")),
        "folder": str(seat.machine.folder),
        "listener": f"listen {re.escape(' '.join(seat.who))}( |$)",
    }
    return ConfigFile(runtimes_file(seat.data), "toml", (Put(("runtime", seat.name), entry),))
