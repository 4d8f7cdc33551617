"""Fuzzes one target in a process of its own: python -m tests.campaigns.fuzz_run TARGET FOLDER SECONDS SEED [--twin].

Only the room is instrumented, and the reader of JSON that its gate is compared with. What is found is written into the
folder, each fault once: the bytes in one file, what they did in another of the same name with `.txt`. The fuzzer ends
the process itself.
"""

import os
import sys
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["teamroom"]):
    from tests.campaigns.fuzz_targets import TARGETS, Depths
    from tests.models import world

FAULTS = 10
"""So many different faults end a run."""

HANG_SECONDS = 60
MEMORY_MB = 3072


class Found:
    """Faults that were found, each place once."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._places: set[str] = set()

    def note(self, data: bytes, error: Exception) -> None:
        """Write a fault down, if none like it was found before; enough of them end the process."""
        *_, last = traceback.extract_tb(error.__traceback__)
        place = f"{type(error).__name__} {last.filename}:{last.lineno}"
        if place in self._places:
            return
        self._places.add(place)
        path = self._folder / f"fault-{len(self._places)}"
        path.write_bytes(data)
        path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)), errors="backslashreplace")
        if len(self._places) == self._most:
            os._exit(0)


def main() -> None:
    """Run until the time is up."""
    name, folder, seconds, seed, *twin = sys.argv[1:]
    target, work = TARGETS[name], Path(folder)
    rooms, corpus = work / "rooms", work / "corpus"
    world.MEMORY = rooms
    for made in (rooms, corpus):
        made.mkdir()
    for number, data in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(data)
    (work / "words").write_text("".join(map(_quoted, target.words)))
    for looked_at in (Depths.string, Depths.inside):
        atheris.instrument_func(looked_at)
    if twin:
        target.twin()
    found = Found(work, 1 if twin else FAULTS)

    def check(data: bytes) -> None:
        try:
            target.check(data)
        except Exception as error:
            found.note(data, error)

    options = {
        "seed": int(seed) or 1,
        "max_total_time": seconds,
        "max_len": target.longest,
        "len_control": 0,
        "timeout": HANG_SECONDS,
        "rss_limit_mb": MEMORY_MB,
        "dict": work / "words",
        "artifact_prefix": f"{work}/fuzzer-",
        "print_final_stats": 1,
    }
    atheris.Setup(["fuzz", *(f"-{key}={value}" for key, value in options.items()), str(corpus)], check)
    atheris.Fuzz()


def _quoted(word: bytes) -> str:
    """A word as a line of the fuzzer's dictionary."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


if __name__ == "__main__":
    main()
