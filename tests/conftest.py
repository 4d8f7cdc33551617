"""What every test shares: a room that runs, once for each protocol era."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.rooms import ERAS, RunningRoom, running_room


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[RunningRoom]:
    """A running room, its clients of the newest protocol."""
    async with running_room(tmp_path / "room") as running:
        yield running


@pytest.fixture(params=ERAS)
async def room_of_each_era(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[RunningRoom]:
    """A running room, its clients once of the newest protocol and once of the one with a handshake."""
    async with running_room(tmp_path / "room", era=request.param) as running:
        yield running


@pytest.fixture
def anyio_backend() -> str:
    """The room runs on asyncio, which uvicorn needs."""
    return "asyncio"
