"""No kind of damage to the record goes unnoticed, whether the room is open or stopped (LOG3, SAF5)."""

from pathlib import Path

import pytest

from tests.campaigns.forgeries import KINDS, Place, look, make_places
from tests.support.promises import promise
from tests.support.room_in_thread import logged

pytestmark = promise("LOG3", "SAF5")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[Place]:
    """The template of the rooms, once it is made."""
    return []


async def template(places: list[Place], factory: pytest.TempPathFactory) -> Place:
    if not places:
        places.append(await make_places(factory.mktemp("forgeries")))
    return places[0]


@pytest.mark.parametrize("name", KINDS)
async def test_every_kind_of_damage_is_found_and_never_sealed(
    name: str, places: list[Place], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    room = await template(places, tmp_path_factory)
    for is_open in (True, False) if KINDS[name].while_open else (False,):
        with logged():
            seen = await look(room, tmp_path / "work", name, is_open=is_open)
        assert not seen.fault, f"{'open' if is_open else 'stopped'}: {seen}"


@pytest.mark.parametrize(
    "name", ["a kill made a resume, rechained", "the end cut off and grown back to its length", "tasks counted down"]
)
async def test_a_room_that_trusts_its_database_takes_a_forgery_over(
    name: str, places: list[Place], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The twin: only the seals' history still knows."""
    room = await template(places, tmp_path_factory)
    seen = await look(room, tmp_path / "work", name, is_open=True, twin=True)
    assert not {"the next act", "opening"} & set(seen.by)


async def test_without_the_journal_only_verify_notices_a_killed_member_that_was_let_live(
    places: list[Place], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The twin: nobody compares the room with its journal."""
    room = await template(places, tmp_path_factory)
    seen = await look(room, tmp_path / "work", "a killed member let live", is_open=False, twin=True)
    assert set(seen.by) == {"verify", "verify in the end"}
