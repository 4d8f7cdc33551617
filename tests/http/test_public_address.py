"""The address that members reach, through a proxy that removes its path or leaves it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from teamroom.server.rules.letters import trial
from teamroom.server.settings import Settings
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import Shell, free_port

pytestmark = promise("SAF1")

PUBLIC = "https://room.example.org/team"


async def statuses(room: RunningRoom, path: str, *hosts: str) -> list[int]:
    """What a call with the owner's token gets for each Host header: 400 is the transport's, behind the gate."""
    headers = {"Authorization": f"Bearer {room.owner_token}"}
    return [(await room.raw(path=path, json={}, headers={**headers, "Host": host})).status_code for host in hosts]


async def test_members_get_the_public_address_and_reach_the_room_there_with_and_without_its_path(
    tmp_path: Path,
) -> None:
    async with running_room(tmp_path / "room", public_url="https://Room.Example.org/team/") as room:
        owner = await room.owner()
        reply, text, _ = await owner.said("enroll", name="far")
        assert reply["url"] == f"{PUBLIC}/mcp"
        assert f"joins at {PUBLIC}/mcp" in text
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
        told = (await shell.here("enroll", "farther")).out
        assert told.count(f"{PUBLIC}/mcp") == 3
        assert f"teamroom connect --as farther --url {PUBLIC} " in told
        assert room.url not in told
        good = ("room.example.org", "ROOM.example.org:443", room.url.removeprefix("http://"))
        bad = ("room.example.org:80", "example.org", "room.example.org.", "room.example.org:8765")
        for path in ("/mcp", "/team/mcp"):
            assert await statuses(room, path, *good) == [400] * 3
            assert await statuses(room, path, *bad) == [421] * 4
        for path in ("/teamx/mcp", "/team/team/mcp", "/x/team/mcp", "/teammcp"):
            assert await statuses(room, path, *good) == [404] * 3
        for path in ("/team", "/team/", "/"):
            page = await room.raw("GET", path, headers={"Host": "room.example.org"})
            assert page.headers["location"] == "/team/sign-in?then=%2F", "with the slash at its end and without it"
        for path in ("/livez", "/team/livez", "/team/readyz"):
            assert (await room.raw("GET", path, headers={"Host": "10.0.0.9:1"})).status_code == 200
        assert trial("olga", room.room.settings.letter_place).body.splitlines()[-1] == f"{PUBLIC}/settings"


async def test_the_shell_calls_a_room_under_a_path_in_plain_http_and_proves_it_first(tmp_path: Path) -> None:
    port = free_port()
    public = f"http://127.0.0.1:{port}/a/b"
    async with running_room(tmp_path / "room", port=port, public_url=public) as room:
        shell = Shell(tmp_path, {"TEAMROOM_TOKEN": room.owner_token, "TEAMROOM_DATA": str(room.folder)})
        assert (await shell.here("roster", "--url", public)).code == 0
        assert (await shell.here("roster", "--url", f"{public}/mcp")).code == 0
        assert (await shell.here("roster", "--url", f"{public}x")).code != 0
        assert f"The room answers at {public}." in (await shell.here("doctor", "--url", public)).out


@pytest.mark.parametrize(
    "text",
    [
        *("room.example.org", "ftp://room.example.org", "https://", "https://a b", "https://me@room.example.org"),
        *("https://r/?x=1", "https://r/#x", "https://r/%2e%2e", "https://r:0", "https://r:x", "https://r//mcp"),
    ],
)
def test_an_address_that_nobody_could_call_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match=r"write it like https://room\.example\.org"):
        Settings(public_url=text)
    assert Settings(public_url="https://r/x/mcp").members_url == "https://r/x"
    assert Settings().members_url == Settings().url
