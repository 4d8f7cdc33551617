"""Coverage-guided fuzzing of what reads others' bytes.

`python -m tests.campaigns.coverage_fuzz SECONDS [--seed N] [--twin]`

The seconds are shared by the targets: the gate's check of bodies, calls of every tool and resource in a real room, and
the parsers of addresses, texts, names and modes. Each runs in a process of its own. The bytes that caused a fault stay
in a folder that is named at the end; without a fault nothing stays.

It needs atheris, which nothing else does: where it is missing, this says how to install it, and ends with 2.
"""

import argparse
import importlib.util
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.campaign import FAULTS_PRINTED, Advance, progress

NAMES = ("gate", "calls", "parsers")
MISSING, USAGE = ".venv/bin/pip install atheris", 2
START_SECONDS = 180.0
"""How long beyond its time a target may take on a busy machine until it is ended."""

SHOWN_BYTES = 400
MEMORY = Path("/dev/shm")
"""Where there is a disk in memory, the fuzzer's rooms lie there."""

_PULSE = re.compile(r"^#(\d+)\s.*? cov: (\d+)", re.MULTILINE)
_EXECUTED = re.compile(r"^stat::number_of_executed_units: (\d+)", re.MULTILINE)


@dataclass
class Fuzzed:
    """What became of one target."""

    executions: int = 0
    covered: int = 0
    faults: list[str] = field(default_factory=list)


def main() -> int:
    """Fuzz each target, print what was done and found. 1: faults (a twin: one that was not found); 2: no fuzzer."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.coverage_fuzz", description=__doc__)
    parser.add_argument("seconds", type=int, help="shared by the targets")
    parser.add_argument("--seed", type=int, default=None, help="begins with the same random choices; default: new ones")
    parser.add_argument("--target", choices=NAMES, action="append", help="this one only; may be repeated")
    parser.add_argument("--twin", action="store_true", help="build each target's fault in, to see that it is found")
    given = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print(f"This needs atheris, which is not installed here. Run: {MISSING}", file=sys.stderr)
        return USAGE
    names = given.target or NAMES
    seed = random.SystemRandom().randrange(1, 2**31) if given.seed is None else given.seed
    kept = Path(tempfile.mkdtemp(prefix="teamroom-fuzz-", dir=MEMORY if MEMORY.is_dir() else None))
    with progress("coverage_fuzz", given.seconds) as advance:
        done = {
            name: fuzz(name, kept / name, max(1, given.seconds // len(names)), seed, given.twin, advance)
            for name in names
        }
    return _told(done, kept, seed, given.twin)


def fuzz(name: str, folder: Path, seconds: int, seed: int, twin: bool, advance: Advance) -> Fuzzed:
    """Fuzz one target in a process of its own, until the time is up or enough was found."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "tests.campaigns.fuzz_run", name, str(folder), str(seconds), str(seed)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TEAMROOM_")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *(["--twin"] if twin else [])], stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        try:
            _wait(process, seconds + START_SECONDS, advance)
        finally:
            process.kill()
            process.wait()
    for beside in ("rooms", "corpus"):
        shutil.rmtree(folder / beside, ignore_errors=True)
    return _read(folder, process.returncode)


def _wait(process: "subprocess.Popen[bytes]", seconds: float, advance: Callable[[], None]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            process.wait(1)
            return
        except subprocess.TimeoutExpired:
            advance()


def _read(folder: Path, code: int) -> Fuzzed:
    """What the fuzzer said, and the faults that it left."""
    log = (folder / "log").read_text(errors="replace")
    pulses = [(int(done), int(covered)) for done, covered in _PULSE.findall(log)]
    done = [int(number) for number in _EXECUTED.findall(log)] + [done for done, _ in pulses]
    faults = [_fault(path) for path in sorted(folder.glob("fault-*.txt"))]
    if code != 0:
        left = [str(path) for path in folder.glob("fuzzer-*")]
        faults.append(f"the fuzzer ended with {code}: {' '.join(left) or log[-800:]}")
    return Fuzzed(max(done, default=0), max((covered for _, covered in pulses), default=0), faults)


def _fault(words: Path) -> str:
    """What went wrong and where, the bytes that did it, and the file that has them."""
    bytes_, lines = words.with_suffix(""), words.read_text().strip().splitlines()
    data, place = bytes_.read_bytes(), [line.strip() for line in lines if line.startswith("  File ")][-1]
    return f"{lines[-1][:SHOWN_BYTES]} ({place})\n      {data[:SHOWN_BYTES]!r}\n      {bytes_} ({len(data)} bytes)"


def _told(done: dict[str, Fuzzed], kept: Path, seed: int, twin: bool) -> int:
    print(f"coverage_fuzz, seed {seed}{' (twin: faults are built in, no file is kept)' if twin else ''}")
    for name, fuzzed in done.items():
        print(f"  {name}: {fuzzed.executions:,} executions, {fuzzed.covered:,} places of the code covered")
        print(f"  {name}: faults: {len(fuzzed.faults)}")
        for fault in fuzzed.faults[:FAULTS_PRINTED]:
            print(f"    {fault}")
    found = [name for name, fuzzed in done.items() if fuzzed.faults]
    if not found or twin:
        shutil.rmtree(kept, ignore_errors=True)
    return int(len(found) < len(done)) if twin else int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
