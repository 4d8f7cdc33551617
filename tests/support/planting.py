"""Members that prove what they reach: a value planted in a file, and the command they are shown, run in a shell."""

import subprocess
from pathlib import Path
from typing import Any

from tests.support.rooms import Member, RunningRoom

API = "repo:acme/api"
DAY = 86_400


async def planted(room: RunningRoom, file: Path, *names: str) -> list[Member]:
    """Members that declare the api, whose value stands in a file."""
    members = await room.enroll(*names)
    for member in members:
        await member("declare_capabilities", capabilities=[API])
    stands(file, (await (await room.owner())("plant", capability=API, file=str(file)))["value"])
    return members


def stands(file: Path, value: str) -> None:
    """Put a value where it stands."""
    file.write_text(f"{value}\n")


def run(command: str, folder: Path) -> str:
    """What a model's shell prints."""
    return subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True).stdout


async def state(reader: Member, name: str, capability: str = API) -> dict[str, Any]:
    """A capability of a member as the roster shows it."""
    (member,) = (await reader("who", name=name))["members"]
    return next(dict(c) for c in member["capabilities"] if c["capability"] == capability)


async def probe(member: Member) -> dict[str, Any]:
    """The one probe that a member is shown."""
    (found,) = (await member("check_in"))["probes"]
    return dict(found)


async def prove(member: Member, folder: Path) -> dict[str, Any]:
    """Do what the probe says."""
    value = run((await probe(member))["command"], folder)
    return await member("declare_capabilities", proofs=[{"capability": API, "value": value}])
