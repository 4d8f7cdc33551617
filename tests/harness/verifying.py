"""Writes what a run of the real harnesses verified into the record that the package ships, and the pages show."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from teamroom.clients.harnesses.catalogue import WRITTEN
from teamroom.clients.harnesses.verified import FILE, STEPS, Verified, load
from tests.harness.install import pinned


@contextmanager
def verifying(command: str, *steps: str) -> Iterator[None]:
    """Record steps of a harness as verified today if the block ends well, and as not verified if it fails."""
    assert set(steps) <= set(STEPS), steps
    key, version = key_of(command), pinned()[command]
    _write(key, version, {}, without=steps)
    yield
    _write(key, version, dict.fromkeys(steps, f"{datetime.now(UTC):%Y-%m-%d}"))


def key_of(command: str) -> str:
    """The key by which join knows the harness with a command."""
    (key,) = [harness.key for harness in WRITTEN if command in harness.programs]
    return key


def _write(key: str, version: str, steps: dict[str, str], without: tuple[str, ...] = ()) -> None:
    """Add steps to a harness, and take others away. What an earlier version of it did is forgotten."""
    record = load()
    found = record.get(key, Verified(version, {}))
    kept = {step: day for step, day in found.steps.items() if step not in without} if found.version == version else {}
    record[key] = replace(found, version=version, steps={**kept, **steps})
    order = [harness.key for harness in WRITTEN if harness.key in record]
    shown = {
        one: {
            "version": record[one].version,
            "steps": {step: record[one].steps[step] for step in STEPS if step in record[one].steps},
        }
        for one in order
    }
    FILE.write_text(json.dumps(shown, indent=1) + "\n", encoding="utf-8")
