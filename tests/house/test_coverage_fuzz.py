"""The targets of the coverage-guided fuzzer on inputs of chance, without the fuzzer; its command where that is missing.

The full form: `python -m tests.campaigns.coverage_fuzz 600`.
"""

import importlib.util
import random
import subprocess
import sys
from collections.abc import Iterator

import pytest

from teamroom.server.http import bodies
from teamroom.server.rules import text as words
from teamroom.tools import serve as tools
from tests.campaigns import coverage_fuzz
from tests.campaigns.fuzz_calls import KINDS
from tests.campaigns.fuzz_targets import TARGETS
from tests.models.world import clean_up
from tests.support.promises import promise

pytestmark = promise("SAF6")

SEED = 20_261_127
CHANGED = {"gate": 600, "calls": 30, "parsers": 300}
"""So many changed inputs each target reads here."""

FOUND = {
    "gate": b'["\\"",[\xfa1],"a"]',
    "calls": bytes([0, KINDS.index("tool"), list(tools.TOOLS).index("post_message"), 0, 5, 4]),
    "parsers": "said by “me".encode(),
}
"""What each twin breaks at: a list that only seems to be inside a string, a number for a text, a mark that closes."""


@pytest.fixture(scope="module", autouse=True)
def shared_rooms() -> Iterator[None]:
    with clean_up():
        yield


def changed(name: str, count: int) -> Iterator[bytes]:
    """Seeds of a target, with some words of its language and some bytes put in."""
    target, chance = TARGETS[name], random.Random(SEED)
    for _ in range(count):
        data = bytearray(chance.choice(target.seeds))
        for _ in range(chance.randrange(1, 5)):
            place = chance.randrange(len(data) + 1)
            data[place : place + chance.randrange(2)] = chance.choice([*target.words, chance.randbytes(3)])
        yield bytes(data[: target.longest])


@pytest.mark.parametrize("name", TARGETS)
def test_the_room_answers_or_refuses_any_bytes(name: str) -> None:
    for data in [*TARGETS[name].seeds, *changed(name, CHANGED[name])]:
        TARGETS[name].check(data)


@pytest.mark.parametrize("name", TARGETS)
def test_each_target_finds_the_fault_that_is_built_in(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, part in ((bodies, "STRING"), (tools, "read_arguments"), (words, "MARKS")):
        monkeypatch.setattr(module, part, getattr(module, part))  # so that it is put back
    TARGETS[name].check(FOUND[name])
    TARGETS[name].twin()
    with pytest.raises((AssertionError, UserWarning)):  # pydantic warns of a number that stands for a text
        TARGETS[name].check(FOUND[name])


def test_the_command_says_how_to_install_the_fuzzer_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["coverage_fuzz", "1"])
    assert coverage_fuzz.main() == 2
    assert ".venv/bin/pip install atheris" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_the_fuzzer_finds_the_fault_in_the_texts_without_help() -> None:
    command = [
        sys.executable,
        "-m",
        "tests.campaigns.coverage_fuzz",
        "60",
        "--seed",
        "1",
        "--target",
        "parsers",
        "--twin",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "parsers: faults: 1" in done.stdout
