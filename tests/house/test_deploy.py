"""The container: what the Dockerfile copies and installs is there, and what it runs works as it says."""

import json
import os
import re
import shlex
import signal
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from tests.support.promises import house
from tests.support.repository import ROOT
from tests.support.shells import STEP_SECONDS, TEAMROOM, answers, free_port

pytestmark = house

IMAGE_BIN = "/opt/teamroom/bin"


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of the Dockerfile, by stage."""
    found: list[list[tuple[str, str]]] = []
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            found += [[]] if name == "FROM" else []
            found[-1].append((name, rest))
    return found


def test_the_build_copies_what_is_there_and_installs_what_is_locked() -> None:
    build, last = stages()
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [word for name, rest in build if name == "COPY" for word in rest.split()[:-1]]
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in kept), f"{source} is ignored"
    assert {"src", "server", "tools", "resources", "clients"} <= set(copied)
    steps = [rest for name, rest in build if name == "RUN"]
    for step in steps[1:]:
        assert "--require-hashes -r" in step or step.endswith("--no-index --no-build-isolation --no-deps ."), step
    assert [rest for name, rest in last if name == "COPY"] == ["--from=build /opt/teamroom /opt/teamroom"]


def test_the_image_runs_as_a_user_without_rights_and_is_told_to_stop_gently() -> None:
    last = dict(stages()[-1])
    user = last["USER"].split(":")[0]
    assert int(user) > 0
    assert f"--uid {user}" in last["RUN"]
    assert f"install -d -m 700 -o teamroom -g teamroom {json.loads(last['VOLUME'])[0]}" in last["RUN"]
    assert last["STOPSIGNAL"] == "SIGTERM"
    room: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["room"]
    assert room["read_only"] is True
    assert room["cap_drop"] == ["ALL"]
    assert room["volumes"] == [f"room:{json.loads(last['VOLUME'])[0]}"]
    assert room["command"][: len(json.loads(last["CMD"]))] == json.loads(last["CMD"])
    assert all(port.startswith("127.0.0.1:") and port.endswith(f":{last['EXPOSE']}") for port in room["ports"])


def test_what_the_image_runs_serves_a_room_whose_health_check_holds_and_ends_with_code_0(tmp_path: Path) -> None:
    """Its command, environment and health check, in a fresh folder and at another port."""
    last, port = dict(stages()[-1]), str(free_port())
    data, bin_folder = tmp_path / "data", str(Path(TEAMROOM).parent)

    def here(text: str) -> str:
        text = text.replace(IMAGE_BIN, bin_folder).replace(last["EXPOSE"], port).replace("0.0.0.0", "127.0.0.1")
        return re.sub(r"/data\b", str(data), text)

    data.mkdir(0o700)
    environment = dict(word.partition("=")[::2] for word in shlex.split(here(last["ENV"])))
    assert "PATH" in environment
    command = [*json.loads(last["ENTRYPOINT"]), *json.loads(here(last["CMD"]))]
    check = json.loads(here(last["HEALTHCHECK"].partition(" CMD ")[2]))
    which = {word: str(Path(bin_folder, word)) for word in ("teamroom", "python")}
    command[0], check[0] = which[command[0]], which[check[0]]
    assert subprocess.run(check, env=environment, capture_output=True, check=False).returncode != 0
    with subprocess.Popen(command, env=environment, cwd=data, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("Press Ctrl-C"):
                    break
            assert answers(f"http://127.0.0.1:{port}")
            assert subprocess.run(check, env=environment, capture_output=True, check=False).returncode == 0
            inside = [command[0], "roster"]
            roster = subprocess.run(inside, env=environment, capture_output=True, text=True, check=False)
            assert roster.returncode == 0, roster.stderr
            process.send_signal(getattr(signal, last["STOPSIGNAL"]))
            assert process.wait(STEP_SECONDS) == 0
        finally:
            if process.poll() is None:
                process.kill()
    assert os.listdir(tmp_path) == ["data"], "it writes nothing elsewhere"
