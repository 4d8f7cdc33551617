"""The grammar of mentions: in every script, and not in code, quotations, addresses or names of packages."""

import pytest

from teamroom.server.rules.mentions import find_mentions
from teamroom.server.rules.names import nearest_names
from tests.support.promises import promise
from tests.support.stopwatch import Stopwatch

pytestmark = promise("HND4")

MENTIONED = {
    "at the start": "@builder look",
    "in another case": "thanks @BUILDER",
    "in brackets, quotation marks, emphasis": '(@builder) "@builder" **@builder** _@builder_ [@builder](http://x.io/@a)',
    "with marks after it": "@builder, @builder. @builder: @builder's @builder; @builder! @builder- @builder/",
    "Chinese around it": "\u8bf7@builder\u770b\u4e00\u4e0b\u767b\u5f55",
    "Chinese marks after it": "\u4ea4\u7ed9@builder\u3002",
    "Chinese brackets after it": "@builder\uff08\u8bf7\u770b\uff09",
    "Japanese around it": "\u3053\u3093\u306b\u3061\u306f@builder\u3055\u3093",
    "Korean around it": "\ud655\uc778@builder\uc5d0\uac8c",
    "Thai around it": "\u0e0a\u0e48\u0e27\u0e22@builder\u0e14\u0e39\u0e2b\u0e19\u0e48\u0e2d\u0e22",
    "Burmese, Khmer, Lao before it": "\u1000\u102b@builder \u1780\u17b6@builder \u0e81\u0eb2@builder",
    "Hindi and Arabic after it": "@builder\u0915\u094b @builder\u0648",
    "an emoji, a dash, an ellipsis before it": "\U0001f44d@builder \u2014@builder \u2026@builder done.@builder",
    "full width": "\uff20builder",
    "full width, letters too": "\uff20\uff42\uff55\uff49\uff4c\uff44\uff45\uff52\u3055\u3093",
    "a small sign": "\ufe6bbuilder",
    "a slip of the space": "@builder...please @builder.Then",
    "one of a row": "@tester/@builder look",
    "between code": "`x` is broken, @builder, `y` too",
    "beside a quotation": "`x` is broken, @builder, and\n> that\nis quoted",
    "after a fence": "```\n@tester\n```\n@builder",
    "after an open backtick in another item": "1. use ` and\n2. @builder see `y`",
    "between escaped backticks": "\\`@builder\\`",
    "after a longer row of backticks": "``a`b`` @builder",
    "in a further paragraph of a list": "- item\n\n    @builder please",
    "in a line that goes on, indented": "text\n    @builder goes on",
    "after an address": "see https://x.io/a @builder; \u770bhttps://x.io/a\uff0c@builder",
}
NONE = {
    "an address": "write to bob@builder.io or git@builder:x",
    "an address with signs": "x+tag@builder.io, a%@builder.io, foo_@builder",
    "an address in Latin letters with accents": "jos\u00e9@builder.io jose\u0301@builder.io",
    "an address in Russian": "\u043f\u043e\u0447\u0442\u0430@builder.ru",
    "an address in Hindi": "\u0936\u093f\u0935@builder.io",
    "an account of another server": "@builder@mastodon.social @@builder",
    "a link": "https://x.io/@builder?by=@builder medium.com/@builder",
    "a package": "npm i @builder/core@1.2 pkg@builder left-pad@builder",
    "a path": "see @builder/README.md and @builder\\x",
    "an escaped sign": "\\@builder",
    "a fence": "```python\n@builder\ndef f(): pass\n```",
    "a fence of tildes": "~~~\n@builder\n~~~",
    "a fence that does not end": "see\n```\n@builder",
    "a fence in a list": "1. a\n\n   ```\n   @builder\n   ```\n- ```\n  @builder\n  ```",
    "a longer fence around another": "````\n```\n@builder\n```\n````",
    "a span of code": "use `@builder` as ``x ` @builder``",
    "a span of code over two lines": "`a\n@builder b`",
    "tags for code": "<code>@builder</code> <pre class='x'>\n@builder\n</pre>",
    "indented code": "para\n\n    @builder\n\n\t@builder",
    "a decorator that is called": "@builder()\n@builder(1)\ndef f(): ...",
    "a quotation": "> @builder said it is done\nagreed",
    "a quotation in a quotation or a list": ">> @builder\n- > @builder\n  > @builder\n>@builder",
    "a longer name": "@builders @builder-2 @builder.js",
    "a name with a letter that no name has": "@buildér @builde\u0301r @\u0412uilder",
}


def names(text: str) -> set[str]:
    return {name.lower() for mention in find_mentions(text) for name in mention.spellings}


@pytest.mark.parametrize("what", MENTIONED)
def test_a_mention_is_found_in_every_script(what: str) -> None:
    count = MENTIONED[what].lower().count("builder")
    for piece in MENTIONED[what].split(" ") if count > 1 and "`" not in MENTIONED[what] else [MENTIONED[what]]:
        assert "builder" in names(piece) or "uilder" not in piece.lower(), piece
    assert "builder" in names(MENTIONED[what])


@pytest.mark.parametrize("what", NONE)
def test_nothing_in_code_quotations_addresses_or_packages_is_a_mention(what: str) -> None:
    assert "builder" not in names(NONE[what])


@pytest.mark.parametrize("what", [what for what in NONE if not what.startswith(("a longer name", "a name with"))])
def test_what_is_no_mention_is_not_told_as_one_that_reaches_nobody(what: str) -> None:
    assert [mention for mention in find_mentions(NONE[what]) if not mention.is_doubtful] == []


PIECES = ["@a ", "`@a", "_@", "```\n@", "<code>@", "\\`@", "@a.", "- > ", "1. ", "://@", "``` @"]


@pytest.mark.parametrize("piece", PIECES)
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (16_000 // len(piece)) + "@builder"
    watch = Stopwatch()
    find_mentions(text)
    assert watch.seconds < 1


def test_near_names_are_those_that_a_slip_of_the_key_makes() -> None:
    members = ["builder", "tester", "Olga", "builder-2", "rex"]
    for slip in ("bulder", "biulder", "builders", "buidler", "Bulider"):
        assert nearest_names(slip, members)[0] == "builder"
    assert nearest_names("olg", members) == ["Olga"]
    assert nearest_names("xyz", members) == []
