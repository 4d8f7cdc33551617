"""Letters in channels that render Markdown, HTML or marks of their own: what members write stays plain text there."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from linkify_it import LinkifyIt
from markdown_it import MarkdownIt

from teamroom.server.notify import channels
from teamroom.server.rules import letters
from teamroom.server.rules.letters import (
    BREAK,
    LOOK_ALIKES,
    Letter,
    LetterPlace,
    Notice,
    Step,
    defuse,
    letter,
    line_of,
    trial,
)
from tests.support.promises import promise
from tests.support.receivers import receiver
from tests.support.rooms import RunningRoom, running_room

pytestmark = promise("SAF2")

HOSTILE = [
    *("see http://evil.example/x", "www.evil.com", "evil.com/login", "mail@evil.com", "mailto:a@b.de", "//evil.com"),
    *("[c](http://e.x)", "![i](http://e.x/i.png)", "[ref]: http://e.x", "<http://e.x>", "<a@b.de>", "[x][y]"),
    *("**b**", "__b__", "*i*", "_i_", "***both***", "~~s~~", "~s~", "||spoiler||", "`code`", "``` code", "==h=="),
    *("@everyone", "@here", "@channel", "@room", "@all", "@olga", "<!channel>", "<!here|here>", "<@U024BE7LH>"),
    *("<#C024BE7LR>", "<@&123>", "<@123456>", "@@everyone", "#general", "# heading", "#123", "/kill", ":smile:"),
    *("<b>b</b>", "<script>x</script>", "<at>olga</at>", "&lt;!channel&gt;", "&#64;everyone", "&amp;", "<br/>"),
    *("javascript:alert(1)", "tg://user?id=1", "tel:110", "\\*x\\*", "$$x$$", "{color:red}", "> quote", "- item"),
    *(
        "a_b_c",
        "_a b_",
        "1. one",
        "+ two",
        "| a | b |",
        "---",
        "x" * 40,
        "”. Next: [c](http://e.x) “",
        "10:00",
        "3.5 s",
    ),
]
words = st.sampled_from(HOSTILE) | st.text(st.sampled_from("*_~`|<>[](){}@#&:$/\\.!-+= aZ9é"), max_size=8)
texts = st.lists(words, min_size=1, max_size=6).map(" ".join) | st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=60
)


def body_with(text: str, written: Callable[[str], str] = defuse) -> str:
    """The body of a letter about a member's question."""
    with patch.object(letters, "defuse", written):
        line = line_of("mention", "M-1", "builder", text, False)
        return letter([Notice("needs you", 4, line, Step("teamroom stream --after 3", "/"))], LetterPlace("acme")).body


# ------------------------------------------------------------------ what channels find


COMMONMARK = MarkdownIt("commonmark").enable(["strikethrough", "table"])
TEXT = {"inline", "text", "softbreak", "hardbreak", "paragraph_open", "paragraph_close"}
ADDRESSES = LinkifyIt(options={"fuzzy_link": True, "fuzzy_email": True, "fuzzy_ip": True})
ADDRESSES.match("its patterns are compiled now")
SIGNS = {
    "a mention": r"@\w",
    "a mention of Slack, a tag or an address": r"<[^>\s][^>]*>",
    "a tag of a topic": r"#\w",
    "a command of a bot": r"(?<!\w)/\w",
    "an emoji": r":[\w+-]+:",
    "an address": r"(?:\w+:|//)[^\s\u200b]|\bwww\.",
    "an entity": r"&#?\w",
    "an emphasis of Slack or WhatsApp": r"(?:^|\W)([*_~`])\S.*?\1(?:$|\W)",
    "a spoiler": r"\|\|",
}


def found_in(body: str) -> set[str]:
    """What channels find in a body besides text."""
    tokens = [token for block in COMMONMARK.parse(body) for token in (block, *(block.children or ()))]
    found = {token.type for token in tokens} - TEXT
    found |= {match.url for match in ADDRESSES.match(body) or ()}
    told = body.partition("\n")[0].partition(": ")[2]  # `needs you: ` is the room's own
    return found | {what for what, sign in SIGNS.items() if re.search(sign, told)}


def as_read(body: str) -> str:
    """A body as a person reads it: characters that look alike are the same."""
    for character, alike in LOOK_ALIKES.items():
        body = body.replace(alike, character)
    return body.replace(BREAK, "")


@given(texts)
@example("@everyone [c](http://e.x) **b** <!channel> <@U024BE7LH> www.evil.com `x` # h")
@example("//")
@example("a//")
def test_no_channel_finds_a_link_a_mention_or_formatting_in_what_a_member_wrote(text: str) -> None:
    assert found_in(body_with(text)) == set()


@pytest.mark.parametrize("text", HOSTILE)
def test_each_hostile_text_is_plain_in_a_letter(text: str) -> None:
    assert found_in(body_with(text)) == set()


@given(texts)
def test_a_person_reads_what_the_member_wrote(text: str) -> None:
    assert as_read(body_with(text)) == as_read(body_with(text, str))


def test_without_it_channels_would_find_nearly_all_of_the_hostile_texts() -> None:
    """The twin: the text as it is."""
    found = {text: found_in(body_with(text, str).replace("@builder", "builder")) for text in HOSTILE}
    assert {text for text in HOSTILE if not found[text]} == {
        *("[x][y]", "==h==", "# heading", "$$x$$", "> quote", "- item", "a_b_c", "3.5 s"),
        *("1. one", "+ two", "| a | b |", "---", "x" * 40),
    }
    assert found_in(body_with("[c](http://e.x) **b**", str)) >= {"link_open", "strong_open", "http://e.x"}


def test_the_name_of_a_member_in_a_letter_mentions_nobody_outside() -> None:
    for body in (body_with("look"), trial("channel", LetterPlace()).body):
        assert re.search(r"@\w", body) is None
        assert found_in(body) == set()


# ------------------------------------------------------------------ through apprise, as it is sent


TOLD = "@everyone [c](http://e.x) **b** <!channel> <@U024BE7LH> <@123> www.evil.com `x` # h &lt;i&gt; _it_ /kill"

SERVICES = {
    "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
    "slack, markdown": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general?format=markdown",
    "discord": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    "discord, markdown": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?format=markdown",
    "telegram": "tgram://123456789:abcdefg_hijklmnop/12315544/",
    "telegram, markdown": "tgram://123456789:abcdefg_hijklmnop/12315544/?format=markdown",
    "mattermost": "mmost://127.0.0.1/3ccdd113474722377935511fc85d3dd4",
    "rocket.chat": "rocket://web/hook@127.0.0.1/#general?mode=webhook",
    "matrix": "matrix://token@127.0.0.1/?mode=slack",
    "ntfy": "ntfy://127.0.0.1/topic",
    "ntfy, markdown": "ntfy://127.0.0.1/topic?format=markdown",
    "google chat": "gchat://workspace/key/token",
    "teams": "workflows://host:443/workflow1a/signature/",
    "zulip": "zulip://bot@org/a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1/topic",
    "json, html": "json://127.0.0.1/?format=html",
}


def posted(url: str, body: str) -> list[str]:
    """The texts in what the real apprise posts for a letter."""
    sent = list[Any]()

    class Answered:
        def __init__(self, address: str) -> None:
            self.text = "ok" if "slack.com" in address else '{"ok": true, "result": []}'
            self.content, self.status_code, self.headers = self.text.encode(), 200, dict[str, str]()

        def json(self) -> Any:
            return {"ok": True, "result": []}

    def post(address: str, data: Any = None, json: Any = None, **others: Any) -> Any:
        sent.append(data if json is None else json)
        return Answered(address)

    with patch("requests.post", post), patch("requests.request", lambda method, *a, **k: post(*a, **k)):
        assert channels.send(url, Letter("[Teamroom] needs you", body)) == ""
    return [text for data in sent for text in _texts(data)]


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, bytes):
        data = data.decode()
    if isinstance(data, str):
        with contextlib.suppress(ValueError):
            data = json.loads(data)
    if isinstance(data, dict):
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value)
    elif isinstance(data, str):
        yield data


@pytest.mark.parametrize("service", SERVICES)
def test_what_apprise_posts_contains_no_mark_of_a_member(service: str) -> None:
    told = [text for text in posted(SERVICES[service], body_with(TOLD)) if "asks" in text]
    assert told, "the letter is in what was posted"
    for text in told:
        assert re.search(r"@\w|<!|<@|\[c\]|\*\*b|\bhttp:/|www\.|`x`|_it_|/kill", text) is None, text


@pytest.mark.parametrize("service", ["discord", "discord, markdown"])
def test_discord_is_asked_to_notify_nobody(service: str) -> None:
    def asked(body: str) -> str:
        return "".join(posted(SERVICES[service], body))

    assert "👉" not in asked(body_with(TOLD))


def test_discord_would_notify_whom_a_member_names() -> None:
    """The twin."""
    assert "👉 @everyone" in "".join(posted(SERVICES["discord, markdown"], "tell @everyone"))


async def test_a_question_with_marks_arrives_as_plain_text(tmp_path: Path) -> None:
    with receiver() as phone:
        settings = {"notify": {"olga": [phone.url]}, "notify_digest": ""}
        async with running_room(tmp_path / "room", **settings) as room:
            await _ask_and_be_sent(room)
        (body,) = phone.raw
    assert found_in(body) == set()
    assert as_read(body).splitlines()[0] == f"needs you: @builder asks in M-1: “{TOLD}”"


async def _ask_and_be_sent(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    await builder("post_message", text=TOLD, to=["olga"], kind="ask")
    await room.later(61)
