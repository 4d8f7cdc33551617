"""What every test shares: a room that runs, once for each protocol era."""

import gc
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable, Generator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis

from teamroom.clients.local.up import COLLECTED_EVERY
from teamroom.clients.session.started import collect_garbage
from tests.support import callbacks, memory, postgres
from tests.support.costs import Costs
from tests.support.rooms import ERAS, RunningRoom, running_room

hypothesis.register_profile("few", max_examples=40, deadline=None)
hypothesis.register_profile("many", max_examples=300, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promise", metavar="ID", help="run only the tests of one promise")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Costs(), "costs")
    memory.use(config)
    hypothesis.load_profile("few")  # unless --hypothesis-profile names another one
    gc.disable()  # while tests are collected, which only adds objects: it would take a third of that time


def pytest_collection_finish() -> None:
    """Collect garbage as seldom as a room does that `teamroom up` serves, and never what was loaded until now."""
    gc.set_threshold(*COLLECTED_EVERY)
    collect_garbage()


def pytest_unconfigure(config: pytest.Config) -> None:
    memory.clean_up(config)
    postgres.drop_all()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    id_ = config.getoption("--promise")
    if id_ is not None:
        items[:] = [item for item in items if any(id_ in mark.args for mark in item.iter_markers("promise"))]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    return {"asyncio": callbacks.new_event_loop}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    result = yield
    callbacks.raise_unseen()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    result = yield
    callbacks.raise_unseen()
    return result


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[RunningRoom]:
    """A running room, its clients of the newest protocol."""
    async with running_room(tmp_path / "room") as running:
        yield running


@pytest.fixture(params=ERAS)
async def room_of_each_era(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[RunningRoom]:
    """A running room, its members with the SDK's client, once of the newest protocol and once with a handshake."""
    async with running_room(tmp_path / "room", era=request.param, with_sdk=True) as running:
        yield running
