"""A call of a harness's own tool, as the hook before it says it: what it is called, what it does, and its digest.

Harnesses name the same tools differently. A shell is called `Bash`, `bash`, `exec_command` or `run_shell_command`, and
each has its own name for the command. This module knows them, so that one rule means the same everywhere.
"""

import hashlib
import json
import posixpath
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from teamroom.server.rules.characters import forbidden_character

INPUTS = ("tool_input", "toolArgs", "tool_args", "arguments", "args", "parameters")
"""Where the hooks of harnesses have what a tool is given."""

TOOLS = ("tool_name", "toolName", "tool")

FOLDER = "cwd"

FAMILIES: Mapping[str, frozenset[str]] = {
    "bash": frozenset(
        {
            *("bash", "sh", "zsh", "shell", "powershell", "pwsh", "cmd", "terminal", "exec", "monitor", "local_shell"),
            *("exec_command", "write_stdin", "unified_exec", "shell_command", "run_command", "execute_command"),
            *("run_shell_command", "run_terminal_cmd", "run_in_terminal", "write_bash", "repl"),
        }
    ),
    "read": frozenset({"read", "read_file", "read_many_files", "view"}),
    "write": frozenset({"write", "write_file", "create", "create_file"}),
    "edit": frozenset(
        {
            *("edit", "multiedit", "notebookedit", "replace", "edit_file", "str_replace_editor", "search_replace"),
            *("apply_patch", "patch"),
        }
    ),
    "webfetch": frozenset({"webfetch", "web_fetch", "fetch"}),
}
"""What harnesses call their tools, by the name that a rule gives them all."""

COMMANDS = ("command", "cmd", "script", "chars", "input", "code")
"""What a shell calls its command."""

PLACES = (
    *("file_path", "filePath", "path", "absolute_path", "notebook_path", "target_file", "dir_path", "directory"),
    *("url", "uri"),
)
"""What other tools call the file or the address that they are for."""

PARTS, TEXTS, TEXT_CHARACTERS = 2_000, 200, 50_000
"""How many parts of a command are read, and how many texts and characters are compared.

With more, a call counts as one that cannot be read. Each text is compared with each rule, while everybody waits.
"""

PREFIXES = 8
"""How many words that run another command may precede one. With more, it counts as one that cannot be read."""

SHOWN_CHARACTERS = 12_000
"""The longest input that a person is shown. It must be shown whole, so a longer one cannot be allowed."""

ESCAPED_CHARACTERS = 10
"""How many characters beyond ASCII are listed by name."""

_JOIN = re.compile(r"\\\r?\n")
_OPERATORS = re.compile(r"[;&|\n\r(){}`<>]|\$\(")
_QUOTES = re.compile(r"[\\'\"]|\$(?=['\"])")
_PREFIX = re.compile(
    r"(?:[A-Za-z_][A-Za-z0-9_]*=\S*"
    r"|!|if|then|elif|else|while|until|do|time|exec|eval|command|builtin|nohup|sudo|env|xargs"
    r"|(?:\S*/)?(?:ba|z|da|k|fi)?sh(?: -\S+)+)\s+",
    re.IGNORECASE,
)
_SEGMENT = re.compile(r"__|[./:]")


@dataclass(frozen=True, slots=True)
class LocalCall:
    """A call of a harness's own tool.

    `tool` and `folder` have everything that could hide or steer spelled out. `names`: the names by which a rule means
    the tool, in small letters; none if the hook does not say which tool it is.
    `texts`: what it does, in small letters, each way in which a pattern could be written for it; None if the hook does
    not say that.
    `exact`: the same exactly as it is, for exceptions. `digest`: of the tool, its whole input and the folder; "" if the
    hook does not say the input. `shown`: the whole input, with everything that could hide or steer spelled out; "" if
    it is unknown or longer than `SHOWN_CHARACTERS`.
    """

    tool: str
    names: frozenset[str] = frozenset()
    texts: tuple[str, ...] | None = None
    exact: tuple[str, ...] = ()
    is_command: bool = False
    folder: str = ""
    digest: str = ""
    shown: str = ""

    @property
    def line(self) -> str:
        """What it does, for a line of the room; "" if that is unknown."""
        return spell_out(" ".join(" ".join(self.exact).split()))


def read_call(said: Any) -> LocalCall:
    """The call that a hook asks about. Of one that cannot be read, nothing is known."""
    if not isinstance(said, dict):
        return LocalCall("")
    tool = next((said[name] for name in TOOLS if isinstance(said.get(name), str) and said[name]), "")
    folder = said[FOLDER] if isinstance(said.get(FOLDER), str) else ""
    given = next((said[name] for name in INPUTS if said.get(name) is not None), None)
    if not tool or given is None:
        return LocalCall(spell_out(tool), _names_of(tool, {}), folder=spell_out(folder))
    fields = _fields_of(given)
    names = _names_of(tool, fields)
    try:
        return _read_input(tool, names, fields, given, folder)
    except (RecursionError, ValueError):  # it is nested too deeply
        return LocalCall(spell_out(tool), names, is_command="bash" in names, folder=spell_out(folder))


def _read_input(tool: str, names: frozenset[str], fields: Mapping[str, Any], given: Any, folder: str) -> LocalCall:
    """The call with what it does, its digest and what a person is shown. Raises RecursionError, ValueError."""
    is_command = "bash" in names
    exact, texts = _exact_and_texts(fields, is_command, folder)
    content = {"tool": tool, "input": given, "folder": folder}
    written = json.dumps(given, ensure_ascii=False, indent=1)
    shown = spell_out(written) if len(written) <= SHOWN_CHARACTERS else ""
    return LocalCall(
        tool=spell_out(tool),
        names=names,
        texts=texts,
        exact=exact,
        is_command=is_command,
        folder=spell_out(folder),
        digest=hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest(),
        shown=shown if len(shown) <= SHOWN_CHARACTERS else "",
    )


def spell_out(text: str) -> str:
    """A text with each character that cannot be seen, or that changes how others are seen, as JSON escapes it."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if " " <= one <= "~" else _spelled(one) for one in text)


def list_foreign(text: str) -> str:
    """The characters of a text beyond ASCII by their names, because some look like others; "" if there are none."""
    found = list(dict.fromkeys(character for character in text if character > "\x7f"))
    listed = [f"{one} is U+{ord(one):04X} {unicodedata.name(one, '')}".rstrip() for one in found[:ESCAPED_CHARACTERS]]
    return "; ".join([*listed, *(["and others"] if len(found) > ESCAPED_CHARACTERS else [])])


def _spelled(character: str) -> str:
    if character == "\n" or (character.isprintable() and forbidden_character(character) is None):
        return character
    return json.dumps(character).strip('"')


def _names_of(tool: str, fields: Mapping[str, Any]) -> frozenset[str]:
    """The tool's own name, and the one that a rule gives to all like it.

    A tool of another name that takes a command counts as a shell too, such as one of another server.
    """
    if not tool:
        return frozenset()
    own = tool.casefold()
    last = _SEGMENT.split(own)[-1]
    families = {family for family, members in FAMILIES.items() if own in members or last in members}
    if not families and any(name in fields for name in ("command", "cmd")) and not any(n in fields for n in PLACES):
        families = {"bash"}
    return frozenset({own, *families})


def _fields_of(given: Any) -> Mapping[str, Any]:
    """What a tool is given by name. Copilot CLI gives it as JSON in a text."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return {}
    return given if isinstance(given, dict) else {}


def _exact_and_texts(
    fields: Mapping[str, Any], is_command: bool, folder: str
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """What a call does, exactly and in each way in which a pattern could be written for it."""
    try:
        exact = tuple(_values(fields, COMMANDS if is_command else PLACES))
        ways = _commands_in if is_command else partial(_places_of, folder=folder)
        if sum(map(len, exact)) > TEXT_CHARACTERS:
            raise _UnreadableError
        texts = _without_repeats(way.casefold() for text in exact for way in ways(text))
    except _UnreadableError:
        return (), None
    return exact, texts or None


class _UnreadableError(Exception):
    """A call that the room cannot compare with a pattern."""


def _without_repeats(ways: Iterator[str]) -> tuple[str, ...]:
    """Each text once. Raises _UnreadableError as soon as there are too many."""
    found = dict[str, None]()
    for way in ways:
        found[way] = None
        if len(found) > TEXTS:
            raise _UnreadableError
    return tuple(found)


def _values(fields: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        value = fields.get(name)
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            value = " ".join(value)
        if isinstance(value, str) and value:
            yield value
        elif value:
            raise _UnreadableError


def _commands_in(command: str) -> Iterator[str]:
    """A command as it is, and each command in it, without quotes, assignments and words that run another command."""
    joined = _JOIN.sub("", command)
    yield _on_one_line(joined)
    parts = _OPERATORS.split(joined)
    if len(parts) > PARTS:
        raise _UnreadableError
    for part in parts:
        yield _on_one_line(part)
        yield from _without_prefixes(_on_one_line(_QUOTES.sub("", part)))


def _without_prefixes(command: str) -> Iterator[str]:
    """A command, and the one that its first words run."""
    for _ in range(PREFIXES):
        yield command
        found = _PREFIX.match(command)
        if found is None:
            return
        command = command[found.end() :]
    raise _UnreadableError


def _places_of(text: str, folder: str) -> Iterator[str]:
    """A file as it is, without detours, and as it is called in the folder of the session."""
    yield text
    if "://" in text:
        return
    whole = posixpath.normpath(posixpath.join(folder or "/", text))
    yield whole
    if folder and whole.startswith(f"{folder.rstrip('/')}/"):
        yield whole[len(folder.rstrip("/")) + 1 :]


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
