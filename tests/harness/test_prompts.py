"""The room sees that an open session of a real harness waits for its person's permission, after a join alone (WAK4)."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.harness.harnesses import RUN_SECONDS, Harness, Seat, surroundings
from tests.harness.install import binary, lacking
from tests.harness.joiners import JOINERS, QWEN_CODE
from tests.harness.openai_responses import OpenAIResponses
from tests.harness.script import RunCommand
from tests.harness.scripted_model import ScriptedModel
from tests.harness.test_joiners import doing, joined
from tests.harness.verifying import verifying
from tests.support.promises import promise
from tests.support.terminals import LACKING, terminal
from tests.support.watching import until

pytestmark = [pytest.mark.harness, promise("WAK4")]

BY_COMMAND = {harness.command: harness for harness in JOINERS}
PROMPT = "Touch a file."


@dataclass(frozen=True)
class Asking:
    """A harness, and the words with which its open session begins a turn and asks before a command.

    `prepare`: has its settings ask. `trusts`: what it shows when it asks first whether it may work in the folder.
    """

    harness: Harness
    words: tuple[str, ...]
    prepare: Callable[[Seat], None] = lambda seat: None
    trusts: str = ""


def _open_code_asks(seat: Seat) -> None:
    config = seat.folder / "opencode.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "permission": {"bash": "ask"}}))


def _codex_asks(seat: Seat) -> None:
    """Have Codex ask. Its config of the scripted model says that it never does."""
    config = seat.home / ".codex" / "config.toml"
    text = config.read_text().replace('"never"', '"on-request"').replace('"danger-full-access"', '"read-only"')
    config.write_text(text)


ASKING = (
    Asking(
        replace(BY_COMMAND["codex"], api=OpenAIResponses(escalates=True)),
        ("--dangerously-bypass-hook-trust", PROMPT),
        _codex_asks,
    ),
    Asking(BY_COMMAND["gemini"], ("-m", "gemini-2.5-pro", "-i", PROMPT)),
    Asking(BY_COMMAND["opencode"], ("--prompt", PROMPT), _open_code_asks),
    Asking(BY_COMMAND["copilot"], ("-i", PROMPT), trusts="Do you trust the files in this folder"),
    Asking(QWEN_CODE, ("--auth-type", "openai", "-i", PROMPT)),
)


def unless_missing(asking: Asking) -> object:
    """A harness as a parameter; it is skipped with a reason where it, or a terminal, is not installed."""
    missing = [*lacking(asking.harness.command), *LACKING]
    skip = pytest.mark.skipif(bool(missing), reason=f"make test-harnesses installs it: {'; '.join(missing)}")
    return pytest.param(asking, id=asking.harness.command, marks=skip)


@pytest.mark.parametrize("asking", [unless_missing(one) for one in ASKING])
def test_the_room_sees_that_an_open_session_waits_for_a_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asking: Asking
) -> None:
    harness = asking.harness
    with (
        joined(tmp_path, monkeypatch, harness, "--attended") as it,
        verifying(harness.command, "prompt"),
        ScriptedModel(harness.api, [lambda seen: RunCommand("touch x")]) as model,
    ):
        seat = it.agent.seat
        launch = harness.launch(seat, model.url)
        asking.prepare(seat)
        environment = {**surroundings(seat), **launch.environment}
        with terminal([str(binary(harness.command)), *asking.words], environment, seat.folder) as shown:
            if asking.trusts:
                shown.shows(asking.trusts, RUN_SECONDS)
                shown.keys("Enter")
            until(lambda: doing(it.room) == "permission", "the room sees that it waits", RUN_SECONDS)
            assert model.seen == [], "its command has not run"
