"""The TypeScript SDKs, the older one and the newer one: a session goes on when the room restarts."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness.room import STEP_SECONDS, free_port, served_room
from tests.outside.install import cache_folder, lacking, node
from tests.support.promises import house
from tests.support.rates import LIMITLESS

pytestmark = [
    house,
    pytest.mark.outside,
    pytest.mark.skipif(bool(lacking()), reason=f"make test-outside installs them: {'; '.join(lacking())}"),
]

SESSION = Path(__file__).with_name("session.mjs")


@pytest.mark.parametrize("library", ["older", "newer"])
def test_a_session_continues_as_if_nothing_had_happened_when_the_room_restarts(library: str, tmp_path: Path) -> None:
    data = tmp_path / "room"
    data.mkdir(mode=0o700)
    with served_room(
        data, free_port(), {f"TEAMROOM_{name.upper()}": str(value) for name, value in LIMITLESS.items()}
    ) as served:
        token = (data / "owner.token").read_text().strip()
        with subprocess.Popen(
            [node() or "node", str(SESSION), str(cache_folder()), library, f"{served.room.url}/mcp"],
            env={**os.environ, "TEAMROOM_TOKEN": token},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as session:
            assert session.stdin is not None
            assert session.stdout is not None

            def call(tool: str) -> dict[str, Any]:
                print(tool, file=session.stdin, flush=True)
                return dict(json.loads(session.stdout.readline()))

            before = call("check_in")
            assert (before["refused"], before["standing"]) == (False, "active")
            for _ in range(2):
                served.restart()
                for tool in ("heartbeat", "check_in"):
                    assert call(tool) == before, "in the same session"
            session.stdin.close()
            assert session.wait(STEP_SECONDS) == 0
