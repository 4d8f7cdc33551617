"""Texts of members that want to be markup, script or the room's own words, in every field that a page shows."""

from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from teamroom.resources.page.html import environment
from tests.support.hostile import LINES
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.visitors import Shown, visitor

pytestmark = promise("SAF2")

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</bdi></li></ul></section><form action=/act/kill method=post><button>ok</button></form>",
    "javascript:alert(1)",
    "<a href=https://evil.example>T-1</a>",
    "{{ 7 * 7 }} {% include 'base.html' %}",
    "&lt;b&gt; &amp;amp; &#60;i&#62;",
    "<!--",
    "]]><![CDATA[",
    "<style>*{display:none}</style>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u0928\u092e\u0938\u094d\u0924\u0947 \u4f60\u597d",
    *LINES,
]

PLAIN = "plain words"


async def filled(room: RunningRoom, text: str) -> list[str]:
    """A room with this text in every field; returns the paths that show it."""
    builder, _ = await room.enroll("builder", "checker")
    olga = await room.connect("olga")
    line = " ".join(text.split())
    need = line[:100]
    await builder("declare_capabilities", capabilities=[need])
    made: dict[str, Any] = await olga(
        "create_task", title=line, detail=text, needs=[need], requires=["deploy:x"], external=line, review="olga"
    )
    await olga("authorize", to="builder", scope="deploy:x", reason=line)
    claimed = await builder("claim_task", task=made["task"])
    own = {"task": made["task"], "fence": claimed["fence"]}
    await builder("update_task", **own, note=text)
    artifact = {"kind": "other", "ref": line, "sha256": "0" * 64}
    asked = {"question": line, "options": [line[:150], "no"], "detail": text, "task": made["task"]}
    decision = await builder("request_decision", **asked, artifacts=[artifact])
    message = await builder("post_message", text=f"@olga {text}", summary=line, kind="ask", task=made["task"])
    await builder("complete_task", **own, summary=text, evidence=[{"kind": "link", "ref": line, "value": need}])
    other = await builder("create_task", title=line)
    offered = await builder("claim_task", task=other["task"])
    await builder("hand_off", task=other["task"], fence=offered["fence"], to="olga", note=text, artifacts=[artifact])
    await olga("enroll", name="checker", label=need, rotate=False)
    await olga("pause", target="checker", reason=line)
    return [
        *("/", "/board", "/members", "/members/builder", "/members/checker", "/decisions", "/overnight", "/log"),
        *(f"/tasks/{made['task']}", f"/tasks/{other['task']}", f"/decisions/{decision['decision']}", "/acts"),
        *(f"/messages/{message['message']}", "/log?query=alert", "/settings", "/enrol"),
        *(f"/part/{part}" for part in ("needs", "stuck", "roster", "board", "stream")),
    ]


@pytest.fixture(scope="module")
def own() -> dict[str, set[str]]:
    """What the pages have of their own: elements and attributes, as with plain words."""
    return {}


async def pages(room: RunningRoom, text: str) -> list[tuple[str, Shown]]:
    async with visitor(room) as browser:
        return [(path, await browser.get(path)) for path in await filled(room, text)]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_text_of_a_member_is_shown_as_it_is_and_becomes_nothing_else(
    room: RunningRoom, tmp_path: Path, own: dict[str, set[str]], text: str
) -> None:
    if not own:
        async with running_room(tmp_path / "plain") as plain:
            shown = [page for _, page in await pages(plain, PLAIN)]
        own["tags"] = {tag for page in shown for tag in page.tags}
        own["attributes"] = set().union(*(page.attributes for page in shown))
        own["scripts"] = {str(page.tags.count("script")) for page in shown}
        own["actions"] = {form.action for page in shown for form in page.forms}
    found = await pages(room, text)
    for path, page in found:
        assert page.status == 200, (path, page.text)
        assert set(page.tags) <= own["tags"], path
        assert page.attributes <= own["attributes"], path
        assert {form.action for form in page.forms} <= own["actions"], path
        assert str(page.tags.count("script")) in own["scripts"], path
        assert not [link for link in page.links if not link.startswith(("/", "#"))], path
    assert any(" ".join(text.split()) in page.text for _, page in found)


async def test_an_unescaped_text_would_be_found(room: RunningRoom, tmp_path: Path, own: dict[str, set[str]]) -> None:
    environment().filters["said"] = Markup
    try:
        with pytest.raises(AssertionError):
            await test_a_text_of_a_member_is_shown_as_it_is_and_becomes_nothing_else(room, tmp_path, own, HOSTILE[1])
    finally:
        environment.cache_clear()
