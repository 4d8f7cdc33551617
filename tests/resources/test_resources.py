"""Resources: the tools' reads by address, as text for models and as JSON for programs."""

import json

import pytest
from mcp.shared.exceptions import MCPError

from tests.support.promises import house, promise
from tests.support.rooms import RunningRoom

pytestmark = house


async def test_each_resource_carries_text_and_the_same_as_json(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="work")
    await owner("post_message", text="@builder hello")
    await builder("request_decision", question="May I?")
    listed = [str(r.uri) for r in (await builder.client.list_resources()).resources]
    families = [str(t.uri_template) for t in (await builder.client.list_resource_templates()).resource_templates]
    own = (
        "me",
        "inbox",
        "stream",
        "board",
        "roster",
        "decisions",
        "overnight",
        "plants",
        "policy",
        "rules",
        "health",
        "channels",
    )
    templates = (
        "stream/{after}",
        "tasks/{id}",
        "members/{name}",
        "messages/{id}",
        "decisions/{id}",
        "overnight/{hours}",
        "rules/{after}",
        "receipts/{seq}",
    )
    assert listed == [f"teamroom://{name}" for name in own]
    assert families == [f"teamroom://{name}" for name in templates]
    examples = [
        "stream/2",
        "tasks/T-1",
        "members/olga",
        "messages/M-1",
        "decisions/D-1",
        "overnight/0.5",
        "rules/0",
        "receipts/1",
    ]
    for uri in [*listed, *(f"teamroom://{example}" for example in examples)]:
        contents = (await builder.client.read_resource(uri)).contents
        assert [c.mime_type for c in contents] == ["text/markdown", "application/json"]
        assert contents[0].text
        assert json.loads(contents[1].text)


@promise("SAF1")
async def test_a_member_reads_only_its_own_inbox(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, other = await room.enroll("builder", "other")
    await owner("post_message", text="@builder a word")
    mine = json.loads((await builder.client.read_resource("teamroom://inbox")).contents[1].text)
    theirs = json.loads((await other.client.read_resource("teamroom://inbox")).contents[1].text)
    assert [w["line"] for w in mine["wakes"]] == ["@builder a word"]
    assert theirs["wakes"] == []
    with pytest.raises(MCPError, match="no resource"):
        await other.client.read_resource("teamroom://inbox/builder")


@promise("SAF6")
@pytest.mark.parametrize(
    "uri",
    [
        "teamroom://nothing",
        "teamroom://tasks/T-9",
        "teamroom://tasks/nine",
        "teamroom://members/nobody",
        "teamroom://messages/M-9",
        "teamroom://receipts/999",
        "teamroom://receipts/-1",
        "teamroom://stream/99999999999999999999",
        "teamroom://rules/-1",
        "teamroom://overnight/0",
        "teamroom://overnight/-1",
        "teamroom://overnight/nan",
        "teamroom://overnight/9999999",
        "teamroom://overnight/12h",
        "file:///etc/passwd",
        "teamroom://members/../../etc",
    ],
)
async def test_an_address_that_leads_nowhere_is_refused_with_a_fix(room: RunningRoom, uri: str) -> None:
    owner = await room.owner()
    with pytest.raises(MCPError) as error:
        await owner.client.read_resource(uri)
    assert error.value.error.data["code"] in ("not_found", "invalid")
    assert error.value.error.data["fix"]


@promise("ID4")
async def test_a_revoked_token_reads_nothing(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("revoke", name="builder")
    with pytest.raises(Exception, match=r".*"):
        await builder.client.read_resource("teamroom://board")
