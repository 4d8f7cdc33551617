"""Which calls a rule matches: it errs towards waiting, and its exceptions do too."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.rules.approvals import (
    ApprovalRule,
    fits,
    is_exception,
    is_match,
    matches,
    rules_as_text,
    rules_from_text,
    rules_matching,
)
from teamroom.server.rules.local_calls import LocalCall, read_call, spell_out
from tests.support.promises import promise

pytestmark = promise("DEC4")

PUSH = ApprovalRule(1, "Bash(git push*)")
ALLOWS = ApprovalRule(1, "Bash", ("git status*", "git log *", "ls"))


def call(command: Any, tool: str = "Bash", folder: str = "/srv/app") -> LocalCall:
    return read_call({"tool_name": tool, "tool_input": {"command": command}, "cwd": folder})


@pytest.mark.parametrize(
    "command",
    [
        "git push",
        "git push --force origin main",
        "  git   push",
        "git\tpush",
        "GIT PUSH",
        "git \\\n  push",
        "cd /work && git push",
        "make; git push",
        "make || git push",
        "make & git push",
        "make\ngit push",
        "make | git push",
        "(git push)",
        "{ git push; }",
        "echo $(git push)",
        "echo `git push`",
        "if true; then git push; fi",
        "while ! git push; do true; done",
        "GIT_SSH=x git push",
        "A=1 B=2 env C=3 git push",
        "sudo git push",
        "exec git push",
        "time git push",
        "bash -c 'git push'",
        'bash -lc "cd /work && git push"',
        "/bin/sh -c 'git push'",
        "eval 'git push'",
        "'git' push",
        'git "push"',
        "g\\it pu''sh",
        "$'git' push",
        "echo x > git push",
        ["git", "push"],
        ["bash", "-lc", "git push"],
    ],
)
def test_a_pattern_means_each_command_in_a_command_however_it_is_written(command: Any) -> None:
    assert matches(PUSH, call(command))


@pytest.mark.parametrize(
    "command",
    ["git status", "git pull", "echo push", "git -C . push", "git --no-pager push", "alias p=push"],
)
def test_a_pattern_does_not_mean_the_same_act_in_other_words(command: str) -> None:
    """What `docs/security.md` says that a pattern does not catch."""
    assert not matches(PUSH, call(command))


SHELLS = {
    "Bash": "command",
    "bash": "command",
    "shell": "command",
    "exec_command": "cmd",
    "write_stdin": "chars",
    "local_shell": "command",
    "run_shell_command": "command",
    "file_system.bash": "command",
    "mcp__server__bash": "command",
    "PowerShell": "command",
    "Monitor": "command",
    "a_new_tool": "command",
}
"""What harnesses call their shells, and the command that these are given."""


@pytest.mark.parametrize("tool", SHELLS)
def test_a_rule_for_the_shell_means_the_shell_of_every_harness(tool: str) -> None:
    said = {"tool_name": tool, "tool_input": {SHELLS[tool]: "git push"}}
    assert matches(PUSH, read_call(said))
    assert matches(ApprovalRule(1, "bash"), read_call(said))
    assert not matches(ApprovalRule(1, "Write"), read_call(said))


FILES = {
    "Write": {"file_path": "/etc/hosts"},
    "write_file": {"path": "/etc/hosts"},
    "create": {"path": "/srv/../etc/hosts"},
    "create_file": {"filePath": "../../etc/hosts"},
}


@pytest.mark.parametrize("tool", FILES)
def test_a_pattern_means_a_file_wherever_its_name_leads(tool: str) -> None:
    said = {"tool_name": tool, "tool_input": FILES[tool], "cwd": "/srv/app"}
    assert matches(ApprovalRule(1, "Write(/etc/*)"), read_call(said))
    assert not matches(ApprovalRule(1, "Write(/usr/*)"), read_call(said))
    inside = {"tool_name": "Edit", "tool_input": {"file_path": "/srv/app/src/../keys/a.pem"}, "cwd": "/srv/app"}
    assert matches(ApprovalRule(1, "Edit(keys/*)"), read_call(inside))


def test_copilots_input_is_json_in_a_text_and_codexs_patch_names_no_file() -> None:
    copilot = {"toolName": "bash", "toolArgs": json.dumps({"command": "git push"})}
    assert matches(PUSH, read_call(copilot))
    patch = {"tool_name": "apply_patch", "tool_input": {"command": "*** Begin Patch"}}
    assert not matches(ApprovalRule(1, "Bash"), read_call(patch))
    assert matches(ApprovalRule(1, "Edit(/etc/*)"), read_call(patch)), "it may be for any file"


def test_a_tool_can_be_named_as_its_harness_names_it_and_by_a_part() -> None:
    said = {"tool_name": "mcp__github__create_issue", "tool_input": {"title": "x"}}
    for match in ("mcp__github__create_issue", "mcp__github__*", "MCP__GitHub__*", "*", "mcp__github__*(x*)"):
        assert matches(ApprovalRule(1, match), read_call(said)), match
    assert not matches(ApprovalRule(1, "mcp__gitlab__*"), read_call(said))


def test_claude_codes_way_to_write_that_anything_follows_means_that() -> None:
    assert matches(ApprovalRule(1, "Bash(git push:*)"), call("git push --force"))


def nested(depth: int) -> Any:
    """A list in a list, and so on."""
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


NESTED = nested(5_000)
"""A value that is nested too deeply to be written."""


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {"tool_input": {"command": "ls"}},
        {"tool_name": "Bash"},
        {"tool_name": "Bash", "tool_input": "{"},
        {"tool_name": "Bash", "tool_input": {"command": {"a": 1}}},
        {"tool_name": "Bash", "tool_input": {"command": ["ls", 1]}},
        {"tool_name": "Bash", "tool_input": {"command": 1, "script": "ls"}},
        {"tool_name": "Bash", "tool_input": {"command": ";" * 5_000}},
        {"tool_name": "Bash", "tool_input": {"command": "sudo " * 50 + "ls"}},
        {"tool_name": "Bash", "tool_input": {"command": ";".join(f"echo {number}" for number in range(300))}},
        {"tool_name": "Bash", "tool_input": {"command": "ls", "more": NESTED}},
        {"tool_name": "Bash", "tool_input": {}},
    ],
)
def test_a_call_that_cannot_be_read_matches(said: Any) -> None:
    assert matches(PUSH, read_call(said))
    assert matches(ALLOWS, read_call(said))


def test_of_an_input_that_is_nested_too_deeply_the_tool_is_known_and_nothing_else() -> None:
    read = read_call({"tool_name": "Bash", "tool_input": {"command": "ls", "more": NESTED}, "cwd": "/work"})
    assert (read.tool, read.folder, read.texts, read.digest, read.shown) == ("Bash", "/work", None, "", "")
    assert matches(PUSH, read)
    assert not matches(ApprovalRule(1, "Write"), read)


def test_a_command_with_as_many_parts_as_are_compared_is_read() -> None:
    assert not matches(PUSH, call(";".join(f"echo {number}" for number in range(190))))
    assert matches(PUSH, call(";".join([*(f"echo {number}" for number in range(190)), "git push"])))


def test_a_rule_that_cannot_be_read_matches_everything() -> None:
    assert matches(ApprovalRule(1, "Bash(git"), call("ls"))


# ------------------------------------------------------------------ exceptions


@pytest.mark.parametrize("command", ["git status", "git status -s", "git log -n 3", "ls", "git log 'a file'"])
def test_an_exception_lets_pass_what_it_says(command: str) -> None:
    assert not matches(ALLOWS, call(command))


@pytest.mark.parametrize(
    "command",
    [
        *("ls -l", "LS", " ls", "ls ", "ls\n", "git  log x", "git\tlog x", "git\N{NO-BREAK SPACE}log x"),
        *("/bin/ls", "'ls'", "l\\s", "git log \N{FULLWIDTH SEMICOLON}ls", "git log \u2028ls", "git log \x00"),
        *("git log !x", "git log #x", "git log \ud800"),
    ],
)
def test_an_exception_lets_nothing_pass_that_is_only_like_it(command: str) -> None:
    assert matches(ALLOWS, call(command))


OPERATORS = (";", "&", "&&", "|", "||", "$(x)", "`x`", "\n", "\r", ">", ">>", "<", "<(x)", "{a,b}", "${x}", "$x", "\\")


@given(st.sampled_from(OPERATORS), st.text(max_size=10), st.text(max_size=10))
def test_what_contains_an_operator_is_never_excepted(operator: str, before: str, after: str) -> None:
    for start in ("git status", "git log ", "ls"):
        assert matches(ALLOWS, call(f"{start}{before}{operator}{after}"))
        assert matches(ALLOWS, call(f"{start}{operator}{after}"))


@given(st.text())
def test_what_is_excepted_is_plain_and_begins_as_an_exception_says(text: str) -> None:
    for command in (text, f"git status{text}", f"git log {text}"):
        if not matches(ALLOWS, call(command)):
            assert command.isascii()
            assert command.isprintable()
            assert command == "ls" or command.startswith(("git status", "git log "))
            assert not set(command) & set(";&|<>(){}$`\\!#")


@given(st.text(alphabet=" \t\n\u00a0\u2003\u200b\u2028\ufeffls"))
def test_no_white_space_or_invisible_character_makes_another_command_an_exception(text: str) -> None:
    assert matches(ALLOWS, call(text)) is (text != "ls")


def test_a_file_is_excepted_only_without_detours() -> None:
    rule = ApprovalRule(1, "Write", ("/srv/app/*",))
    for path, waits in (("/srv/app/a", False), ("/srv/app/../a", True), ("/srv/app/..", True), ("/etc/a", True)):
        said = {"tool_name": "Write", "tool_input": {"file_path": path, "content": "x"}, "cwd": "/srv/app"}
        assert matches(rule, read_call(said)) is waits, path


def test_a_call_with_two_commands_is_excepted_only_if_both_are() -> None:
    for second, waits in (("ls", False), ("rm -r /", True)):
        said = {"tool_name": "Bash", "tool_input": {"command": "git status", "script": second}}
        assert matches(ALLOWS, read_call(said)) is waits


# ------------------------------------------------------------------ the matcher itself


def naive(pattern: str, text: str) -> bool:
    """Whether a text is as a pattern says, tried in every way."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(naive(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] == text[0] and naive(pattern[1:], text[1:])


@given(st.text(alphabet="ab*", max_size=8), st.text(alphabet="ab", max_size=10))
def test_a_pattern_fits_what_trying_every_way_finds(pattern: str, text: str) -> None:
    assert fits(pattern, text) is naive(pattern, text)


def test_the_longest_call_is_read_and_compared_in_little_time() -> None:
    worst = [
        "a" * 250_000,
        "git push " * 25_000,
        " ".join(["A=1"] * 80_000),
        ";" * 250_000,
        "bash -c " * 30_000,
        "'\\" * 125_000,
        "\\\n" * 125_000,
        "\N{CYRILLIC SMALL LETTER A}" * 120_000,
        ";".join(["sudo " * 7 + "x"] * 1_900),
    ]
    rules = [ApprovalRule(number, "Bash(*" + "a*" * 90 + "b*)") for number in range(40)]
    for command in (*worst, *(one[:50_000] for one in worst)):
        begun = time.process_time()
        read = call(command)
        for rule in rules:
            matches(rule, read)
        assert time.process_time() - begun < 0.2, command[:20]


PATTERNS = ("*", "git push {}*", "*git push {}*", "*echo*x*push {}", "echo*x*push {}*", "git push {}")

WORST = {
    "words that run another command": ";".join(f"env time sudo do x{number}" for number in range(1_990)),
    "as many parts as are compared": ";".join(f"echo {'x' * 230} git push x{number}" for number in range(195)),
    "short parts": ";".join(f"echo {number}" for number in range(195)),
    "few long parts": ";".join(f"echo {'git push ' * 250} {number}" for number in range(20)),
    "one part": "echo x" + "git push " * 5_000,
    "almost an exception": "echo " + "x" * 49_000 + ";",
}


@pytest.mark.parametrize("name", WORST)
@pytest.mark.parametrize("pattern", PATTERNS)
@promise("SAF3")
def test_one_call_takes_the_room_little_time_however_many_rules_it_is_compared_with(name: str, pattern: str) -> None:
    rules = [ApprovalRule(number, f"Bash({pattern.format(number)})", ("git log *", "echo *")) for number in range(40)]
    taken = []
    for _ in range(3):
        begun = time.process_time()
        rules_matching(rules, call(WORST[name]))
        taken.append(time.process_time() - begun)
    assert min(taken) < 0.02, "it takes less than half of that where nothing else runs"


@given(st.text())
def test_what_is_shown_is_the_input_and_hides_nothing(text: str) -> None:
    shown = call(text).shown
    assert json.loads(shown) == {"command": text}
    assert all(character == "\n" or character.isprintable() for character in shown)


@given(st.text(), st.text())
def test_two_inputs_have_one_digest_only_if_they_are_equal(one: str, other: str) -> None:
    assert (call(one).digest == call(other).digest) is (one == other)
    assert call(one).digest != call(one, folder="/").digest
    assert call(one).digest != call(one, tool="bash").digest


@given(st.text())
def test_spelled_out_text_has_no_character_that_steers(text: str) -> None:
    assert all(one == "\n" or one.isprintable() for one in spell_out(text))


@pytest.mark.parametrize("match", ["Bash", "Bash(git push*)", "Write(/etc/*)", "mcp__x__*", "*", "Bash((a))"])
def test_what_a_rule_can_be(match: str) -> None:
    assert is_match(match)


@pytest.mark.parametrize("match", ["", "Bash(", "Bash()", "Bash (x)", "Bash(x)y", "Bash(\n)", "B\u00e4sh", "x" * 201])
def test_what_a_rule_cannot_be(match: str) -> None:
    assert not is_match(match)
    assert not is_exception(f" {match}")


def test_rules_that_a_gate_keeps_are_read_as_they_were_and_others_not_at_all() -> None:
    assert rules_from_text(rules_as_text([PUSH, ALLOWS])) == [PUSH, ALLOWS]
    assert (rules_as_text([]), rules_from_text("")) == ("", [])
    for text in ("{", "[1]", '[["x", "Bash", []]]', '[[1, "Bash"]]', "7", "[[1]]", "[" * 100_000):
        with pytest.raises(ValueError, match="cannot be read"):
            rules_from_text(text)
