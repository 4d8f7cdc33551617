"""Where the room is and who calls, from the command line, the environment and the data folder.

An agent that runs the shell acts as that agent, never as its owner: see `token`.
"""

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from teamroom.clients.session.failure import NOT_AUTHORISED, USAGE, Failure
from teamroom.clients.session.lineage import marked
from teamroom.clients.session.protocol import ENDPOINT
from teamroom.clients.session.terminal import plain
from teamroom.server.private import NotPrivateError, decode_text, make_private_folder, read_private, write_private
from teamroom.server.rules.names import nearest_names

OWNER_TOKEN = "owner.token"
MEMBERS = "members"
TOKENS = "*.token"
"""What the folder of members' tokens contains."""

NAMES_COMPARED = 1000
"""The most saved tokens among which a mistyped name is looked for."""

TOKEN_FOLDERS = 2
"""A member's token is in a folder of the data folder; both are private."""

LONGEST_TOKEN = 4096

BYTE_ORDER_MARK = "\ufeff"
"""What a shell puts before a token that it reads from a file that some editors saved."""

HARNESS_VARIABLES = (
    "CLAUDECODE",
    "CLAUDE_CODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "GEMINI_CLI",
    "OPENCODE",
    "OPENCODE_CLIENT",
    "CURSOR_AGENT",
    "COPILOT_CLI",
    "COPILOT_AGENT_SESSION_ID",
    "GOOSE_TERMINAL",
    "AMP_CURRENT_THREAD_ID",
    "AUGMENT_AGENT",
    "ANTIGRAVITY_AGENT",
    "CLINE_ACTIVE",
    "QWEN_CODE",
    "CRUSH",
    "AI_AGENT",
)
"""Variables that harnesses set for the commands that their agents run."""

HARNESS_PREFIX = "CODEX_"
PEOPLES_VARIABLES = frozenset({"CODEX_HOME"})
"""Codex sets several (CODEX_SANDBOX, CODEX_THREAD_ID, CODEX_CI). People set this one themselves."""


@dataclass(frozen=True)
class Place:
    """The options and variables that say where the room is and who calls."""

    data: Path | None = None
    url: str | None = None
    token_file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    on_terminal: bool = field(default_factory=lambda: sys.stdin is not None and sys.stdin.isatty())

    @property
    def folder(self) -> Path:
        """The data folder: as named, else the user's default."""
        named = self.data or self.environment.get("TEAMROOM_DATA")
        return (Path(named) if named else _users_folder()).expanduser().absolute()

    @property
    def names_folder(self) -> bool:
        """Whether the folder was named, and is not the default."""
        return self.data is not None or bool(self.environment.get("TEAMROOM_DATA"))

    @property
    def as_option(self) -> str:
        """The option that names the folder in another command; empty for the default."""
        return f" --data {shlex.quote(str(self.folder))}" if self.names_folder else ""

    @property
    def named_options(self) -> dict[str, str]:
        """The options that name the room on this command line, as another command takes them."""
        given = (("--data", self.data), ("--token-file", self.token_file))
        found = {name: str(path.expanduser().absolute()) for name, path in given if path is not None}
        return {**found, **({"--url": self.url} if self.url else {})}

    @property
    def endpoint(self) -> str:
        """The MCP endpoint: from `--url`, the folder's running server or its settings. Raises Failure."""
        return endpoint_of(self.url or self.environment.get("TEAMROOM_URL") or self._announced())

    @property
    def socket_folder(self) -> Path | None:
        """The folder whose own socket leads to the room; None if the room is named by its address."""
        return None if self.url or self.environment.get("TEAMROOM_URL") else self.folder

    def _announced(self) -> str:
        """The address that the folder's server announced, else the one in its settings."""
        from teamroom.server.announcement import announced

        try:
            found = announced(self.folder)
        except NotPrivateError as error:
            raise _not_private(error) from None
        return found or self._in_settings()

    def _in_settings(self) -> str:
        from teamroom.server.policy import SettingsError
        from teamroom.server.settings import load  # loads slowly, and is rarely needed

        try:
            return load(self.folder, dict(self.environment)).url
        except SettingsError as error:
            raise Failure(str(error), "Correct it, or name the room with --url.") from None


def endpoint_of(url: str) -> str:
    """Return the MCP endpoint of the room with an address. Raises Failure."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise Failure(f"{url} is not the address of a room.", "Write it like http://127.0.0.1:8765", USAGE)
    return url.rstrip("/") if parts.path.rstrip("/").endswith(ENDPOINT) else url.rstrip("/") + ENDPOINT


def _users_folder() -> Path:
    import platformdirs

    return platformdirs.user_data_path("teamroom")


def token(place: Place) -> str:
    """Return the bearer token of the caller. Raises Failure.

    The order is `--token-file`, `TEAMROOM_TOKEN`, the owner's token file. Only a person gets the last one:
    outside of agents' sessions, and if the folder is named or standard input is a terminal.
    """
    if place.token_file is not None:
        return read_token(place.token_file, folders=0)
    if "TEAMROOM_TOKEN" in place.environment:
        return _checked(place.environment["TEAMROOM_TOKEN"], "TEAMROOM_TOKEN")
    give = "Give your own token with --token-file FILE or TEAMROOM_TOKEN."
    if (sign := agents_session(place.environment)) is not None:
        raise Failure(f"This is an agent's session ({sign}), so the owner's token is not used.", give, NOT_AUTHORISED)
    if not place.names_folder and not place.on_terminal:
        raise Failure(
            "No token is given. The owner's token is used only at a terminal or if the folder is named.",
            f"{give} To act as the owner, add --data {shlex.quote(str(place.folder))}",
            NOT_AUTHORISED,
        )
    return read_token(place.folder / OWNER_TOKEN)


def origin_of_token(place: Place, name: str | None = None) -> str:
    """Return in words where `token` finds the caller's token, or `member_token` that of a member."""
    if place.token_file is not None:
        return f"the file {place.token_file}"
    if "TEAMROOM_TOKEN" in place.environment:
        return "the environment (TEAMROOM_TOKEN)"
    file = place.folder / OWNER_TOKEN if name is None else member_token_file(place.folder, name)
    return f"the room's folder ({file})"


@contextlib.contextmanager
def naming_caller(place: Place, name: str | None, find_name: Callable[[], str | None] | None = None) -> Iterator[None]:
    """Have every refusal that the block raises say who called, and where its token came from.

    `name`: whose saved token it is; None for the owner's. `find_name` asks the room who the caller is.
    """
    try:
        yield
    except Failure as failure:
        if failure.is_refusal and not failure.caller:
            found = name if find_name is None else find_name()
            failure.name_caller(found, origin_of_token(place, name))
            is_owners = name is None and place.token_file is None and "TEAMROOM_TOKEN" not in place.environment
            if is_owners and found is None and failure.exit_code == NOT_AUTHORISED:
                failure.caller += f" If it is not in force, get a new one: teamroom recover{place.as_option}"
        raise


def member_token(place: Place, name: str) -> str:
    """Return the token of a member: as given, else from the data folder. Raises Failure."""
    if place.token_file is not None or "TEAMROOM_TOKEN" in place.environment:
        return token(place)
    if not is_name(name):
        raise Failure(f"{plain(name)} is not a valid member name.", "Use letters, digits and . _ -", USAGE)
    path = saved_token_file(place.folder, name)
    if not os.path.lexists(path):
        near = " or ".join(f"--as {one}" for one in nearest_names(name, _saved_names(path.parent)))
        raise Failure(
            f"{path.parent} contains no token of {name}.",
            (f"Write {near} if you mean that member. " if near else "")
            + f"Run `teamroom enroll {name} --save`, or give --token-file or TEAMROOM_TOKEN.",
            NOT_AUTHORISED,
        )
    return read_token(path, TOKEN_FOLDERS)


def agents_token(place: Place, name: str | None) -> str:
    """Return the token of a program: by name from the data folder, else as given; never the owner's. Raises Failure."""
    if name is not None:
        return member_token(place, name)
    if place.token_file is None and "TEAMROOM_TOKEN" not in place.environment:
        raise Failure(
            "No token is given, and this program never runs as the owner.",
            "Run `teamroom enroll NAME --role watchdog --save`, then add --as NAME. Or set TEAMROOM_TOKEN.",
            NOT_AUTHORISED,
        )
    return token(place)


def check_member(name: str, me: Mapping[str, Any], verb: str, body: Mapping[str, str] | None = None) -> None:
    """Raise Failure if the token of a program that should act as `name` belongs to another member.

    `me` is the member as the room describes it. `name` may be a former name of it.
    """
    actual = str(me["name"])
    if name.casefold() not in (one.casefold() for one in (actual, *me.get("former", ()))):
        raise Failure(
            f"The token belongs to @{actual}, but --as names {name}.",
            f"{verb} as {actual}, or save a token of {name}: `teamroom enroll {name} --save`",
            NOT_AUTHORISED,
            {"caller": actual, **(body or {})},
        )


def check_kind(place: Place, me: Mapping[str, Any]) -> None:
    """Raise Failure if the caller is a person, but a listener or a watchdog started this process for an agent."""
    if me.get("kind") == "human" and (sign := marked(place.environment)) is not None:
        raise Failure(
            f"This is an agent's session ({sign}), but the token belongs to @{me['name']}, who is a person.",
            "Use the agent's own token, which its listener put in TEAMROOM_TOKEN.",
            NOT_AUTHORISED,
        )


def check_person(environment: Mapping[str, str], deed: str) -> None:
    """Raise Failure if a listener or a watchdog started this process: the deed is its owner's."""
    if (sign := marked(environment)) is not None:
        raise Failure(
            f"This is an agent's session ({sign}), and only a person may {deed}.",
            "Ask the owner to run this command in a terminal.",
            NOT_AUTHORISED,
        )


def is_name(text: str) -> bool:
    """Whether a text is a valid member name, and so a safe file name."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", text) is not None


def agents_session(environment: Mapping[str, str]) -> str | None:
    """Return in words what shows that this process belongs to an agent; None if nothing does."""
    harness = inside_harness(environment)
    return marked(environment) if harness is None else f"{harness} is set"


def inside_harness(environment: Mapping[str, str]) -> str | None:
    """Return the variable that shows that an agent's harness runs this process, if there is one."""
    for name in HARNESS_VARIABLES:
        if environment.get(name):
            return name
    codex = (name for name in environment if name.startswith(HARNESS_PREFIX) and name not in PEOPLES_VARIABLES)
    return next(codex, None)


def read_token(path: Path, folders: int = 1) -> str:
    """Read a token from a private file. Raises Failure with the command that fixes it.

    `folders`: how many folders above it must be private too.
    """
    try:
        text = decode_text(read_private(path, folders))
    except NotPrivateError as error:
        raise _not_private(error) from None
    except FileNotFoundError:
        raise Failure(
            f"There is no token file {path}.",
            "Run `teamroom up` with that folder once, or give --token-file. If the room's owner lost the token, run "
            "`teamroom recover`.",
            NOT_AUTHORISED,
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it contains no token"
        raise Failure(f"{path} cannot be read: {why}.", "Choose another --token-file.", NOT_AUTHORISED) from None
    return _checked(text, str(path))


def _not_private(error: NotPrivateError) -> Failure:
    return Failure(f"{error}.", error.fix, NOT_AUTHORISED)


def _checked(text: str, source: str) -> str:
    found = text.strip().removeprefix(BYTE_ORDER_MARK)
    if not found or len(found) > LONGEST_TOKEN or not found.isascii() or not found.isprintable() or " " in found:
        raise Failure(f"{source} contains no token.", "Get one with `teamroom enroll NAME`.", NOT_AUTHORISED)
    return found


# ------------------------------------------------------------------ saved tokens of members


def member_token_file(folder: Path, name: str) -> Path:
    """Return the file with the token of a member that joins from this machine."""
    return folder / MEMBERS / f"{name}.token"


def files_with_token(place: Place, held: str) -> list[Path]:
    """Return the files of the caller that contain a token: the one that was named, and those of the room's folder."""
    named = [] if place.token_file is None else [place.token_file.expanduser().absolute()]
    saved = sorted((place.folder / MEMBERS).glob(TOKENS)) if (place.folder / MEMBERS).is_dir() else []
    return [file for file in (*named, place.folder / OWNER_TOKEN, *saved) if _contains(file, held)]


def _contains(file: Path, held: str) -> bool:
    try:
        return file.is_file() and read_token(file, folders=0) == held
    except (Failure, OSError):
        return False


def replace_token(place: Place, file: Path, text: str) -> None:
    """Write a new token into a file that contained the one before, completely or not at all. Raises OSError."""
    folders = 1 if file == place.folder / OWNER_TOKEN else TOKEN_FOLDERS if file.parent.parent == place.folder else 0
    write_private(file, text + "\n", folders)


def saved_token_file(folder: Path, name: str) -> Path:
    """Return the file with a member's token, whatever the case of the name; without one, where it would be."""
    path = member_token_file(folder, name)
    if os.path.lexists(path) or not path.parent.is_dir():
        return path
    return next((one for one in path.parent.iterdir() if one.name.casefold() == path.name.casefold()), path)


def _saved_names(folder: Path) -> list[str]:
    """Return the names of the members whose tokens are in a folder."""
    return [file.stem for file in sorted(folder.glob(TOKENS))[:NAMES_COMPARED]] if folder.is_dir() else []


def copy_token(folder: Path, former: Sequence[str], name: str) -> tuple[Path | None, str]:
    """Give the token that is saved under a member's former name to its new name too.

    Programs that still name the former one go on. Returns the file, None without a saved token, and why it failed.
    """
    file = member_token_file(folder, name)
    saved = next((one for old in former if os.path.lexists(one := saved_token_file(folder, old))), None)
    if saved is None or os.path.lexists(file):
        return None, ""
    try:
        save_token(file, read_token(saved, TOKEN_FOLDERS))
    except (Failure, NotPrivateError, OSError) as error:
        return None, str(error)
    return file, ""


def make_members_folder(folder: Path) -> None:
    """Create the private folder of members' tokens. Raises Failure, NotPrivateError before a token is issued."""
    try:
        make_private_folder(folder / MEMBERS, TOKENS)
    except NotPrivateError:
        raise
    except OSError as error:
        raise Failure(
            f"{folder / MEMBERS} cannot be created: {error.strerror}.", "Name the room's folder with --data."
        ) from None


def save_token(path: Path, text: str) -> None:
    """Write a token to a private file, completely or not at all."""
    write_private(path, text + "\n", TOKEN_FOLDERS)
