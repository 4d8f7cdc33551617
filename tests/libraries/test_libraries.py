"""Members written with other client libraries do whole tasks in a real room, each in an environment of its own."""

import asyncio
import contextlib
import json
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from teamroom.tools.serve import TOOLS
from tests.libraries.install import MEMBERS, cache_folder, installed, python
from tests.libraries.story import LONG_SECONDS, WAITS
from tests.support.promises import house
from tests.support.repository import ROOT
from tests.support.rooms import RunningRoom

pytestmark = [house, pytest.mark.libraries]

HERE = Path(__file__).parent

STORY_SECONDS = LONG_SECONDS + 20
"""How long a member may take for all that it does; a long wait that nobody ended shows as what it is."""

WAKE = "please look at the plan"
OPERATORS = {
    *("pause", "resume", "kill", "repair", "enroll", "revoke", "plant", "set_policy", "redact", "notify"),
    *("read_receipts", "overnight", "import_task", "decide", "authorize", "sign_in", "require_approval"),
}

STALE = (
    "stale_fence",
    "The fence of T-1 is 2, not 1.",
    "Read what changed (read_board task T-1), then call again with fence 2.",
)
"""The code, the why and the fix of the refusal, as the room words them."""


@dataclass(frozen=True)
class Told:
    """A step that a member told: its text as the library shows it."""

    step: str
    text: str
    refused: bool


@pytest.mark.parametrize("library", MEMBERS)
async def test_a_member_that_uses_another_library_completes_a_task(library: str, room: RunningRoom) -> None:
    if not installed(library):
        pytest.skip(f"make test-libraries installs {library}: it is not in {cache_folder()} as it is pinned")
    olga = await room.owner()
    token = (await olga("enroll", name="guest"))["token"]

    told: list[Told] = []
    async with asyncio.timeout(STORY_SECONDS), member(library, room, token) as process:
        assert process.stdout is not None
        async for line in process.stdout:
            told.append(Told(**json.loads(line)))
            if told[-1].step == WAITS:
                await room.until_waiting()
                await olga("post_message", text=f"@guest {WAKE}")
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()

    tools, _, posted, created, claimed, _, claimed_again, stale, completed, task, nothing, _, wake = told
    assert set(tools.text.split(", ")) == set(TOOLS) - OPERATORS
    assert [step for step in told if step.refused] == [stale]
    assert [part for part in STALE if part not in stale.text] == []
    assert "M-1" in posted.text
    assert "T-1" in created.text
    assert "T-1" in claimed.text
    assert "T-1" in claimed_again.text
    assert "done" in completed.text
    assert task.text.startswith("T-1 done")
    assert WAKE not in nothing.text
    assert WAKE in wake.text
    receipts = (await olga("read_receipts", actor="guest"))["receipts"]
    assert [(receipt["act"], receipt["outcome"]) for receipt in receipts] == [
        ("post_message", "ok"),
        ("create_task", "ok"),
        ("claim_task", "ok"),
        ("update_task", "ok"),
        ("claim_task", "ok"),
        ("update_task", "refused"),
        ("complete_task", "ok"),
    ]


@contextlib.asynccontextmanager
async def member(library: str, room: RunningRoom, token: str) -> AsyncIterator[Process]:
    """A library's script at work in its own environment until the block ends at the latest."""
    script = f"tests.libraries.with_{library.replace('-', '_').replace('.', '_')}"
    environment = {"PATH": os.environ["PATH"], "TEAMROOM_URL": room.url, "TEAMROOM_TOKEN": token}
    process = await asyncio.create_subprocess_exec(
        python(library), "-m", script, cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
