"""`teamroom gate`: asks the room whether a harness may use a tool of its own.

A harness runs this before every tool, with what it is about to do on standard input. The room's answer goes to standard
output as it is. So this loads as little as possible: no JSON, no HTTP library, and nothing else of this package as long
as the room answers on the socket in its folder.

If the room cannot be asked, an unattended session is refused the tool. An attended one goes on with a warning: nobody
wants to lose an open session because the room is down. What approval rules have wait for a person is refused there too,
so the gate keeps its member's rules in a private file. If the gate itself fails, what would run a tool is denied.
"""

import os
import socket
import sys

from teamroom.clients.session.here import find_runtime

ANSWER_SECONDS = 2.0
"""How long the room may take. Harnesses wait five seconds for a hook."""

INPUT_BYTES = 4_194_304
"""The longest input that is sent; of a longer one, the room gets the beginning, and the member's standing decides."""

ANSWER_BYTES, BLOCK_BYTES = 262_144, 65_536

MARK_CHARACTERS = 64

RUNTIME_CHARACTERS = 100
"""How much of each thing is told of where the harness runs."""

PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
"""The bytes that stand for themselves in a form."""

NO_RULES, OTHER_RULES = "none", "other"
"""The marks of no rules, and of rules that cannot be read: the room sends them again."""

OTHERS_READ, OTHERS_WRITE = 0o077, 0o022

PRIVATE = "is not a private file of this user"

FORMATS = ("claude", "codex", "copilot", "gemini", "opencode", "qwen", "vibe")
"""The harnesses whose hooks the room answers. Another word is a mistake in a hook, and must not let every tool pass."""

USAGE = 2
"""The exit code of a wrong command line. Claude Code and Qwen Code refuse the tool for it."""


class UnreachableError(Exception):
    """Why the room could not be asked."""


class Request:
    """What the command line says: the harness's format, whether nobody attends, who asks, and where the room is."""

    def __init__(self) -> None:
        self.format, self.name, self.file = "", "", ""
        self.rules = ""
        """The file with the member's approval rules; "" until it is known."""
        self.data = os.environ.get("TEAMROOM_DATA", "")
        self.url = os.environ.get("TEAMROOM_URL", "")
        self.is_unattended = False


def main(words: list[str]) -> int:
    """Ask the room; returns the exit code. Harnesses read the answer, and take other codes for a fault of the hook."""
    request = read(words)
    if request is None:
        sys.stderr.write("Usage: teamroom gate --format HARNESS [--as NAME] [--data DIR] [--unattended]\n")
        sys.stderr.write(f"HARNESS is one of {', '.join(FORMATS)}.\n")
        return USAGE
    said = sys.stdin.buffer.read(INPUT_BYTES)
    try:
        answer, _, rules = ask(request, said).partition("\n")
        if rules:
            from teamroom.clients.gate.kept_rules import keep_rules

            keep_rules(request, rules)
    except Exception as error:
        from teamroom.clients.gate.unreachable import answer_unreached

        answer = answer_unreached(request, error, said)
    sys.stdout.write(answer)
    return 0


def read(words: list[str]) -> Request | None:
    """Read the command line; None if it is wrong."""
    request, rest = Request(), list(words)
    options = {"--format": "format", "--as": "name", "--data": "data", "--url": "url", "--token-file": "file"}
    while rest:
        name, is_joined, value = rest.pop(0).partition("=")
        if name == "--unattended" and not is_joined:
            request.is_unattended = True
        elif name in options and (is_joined or rest):
            setattr(request, options[name], value if is_joined else rest.pop(0))
        else:
            return None
    return request if request.format in FORMATS else None


def ask(request: Request, said: bytes) -> str:
    """Return the room's answer; after a line break, the rules to keep. Raises UnreachableError, OSError, ValueError."""
    if request.url or not request.data:
        from teamroom.clients.gate.unreachable import ask_at_address

        return ask_at_address(request, f"/hooks/{request.format}", said)
    folder = os.path.abspath(os.path.expanduser(request.data))
    if request.file or request.name:
        file = os.path.abspath(request.file) if request.file else token_file(folder, request.name)
        request.rules = rules_beside(file)
        token = saved_token(file)
    else:
        token = os.environ.get("TEAMROOM_TOKEN", "").strip()
        request.rules = rules_of(folder, token)
    if not token:
        raise UnreachableError("no token is given: set TEAMROOM_TOKEN, or name the member with --as")
    headers = {
        "Authorization": f"Bearer {token.strip()}",
        "X-Teamroom-Rules": kept_mark(request.rules),
        "X-Teamroom-Runtime": where_it_runs(request.format),
    }
    return ask_on_socket(folder, host_of(folder), f"/hooks/{request.format}", headers, said)


def where_it_runs(harness: str) -> str:
    """Return where this process runs, and so its harness, as a form that fits into a header."""

    def quoted(value: str) -> str:
        told = value[:RUNTIME_CHARACTERS].encode(errors="replace")
        return "".join(chr(byte) if byte in PLAIN else f"%{byte:02X}" for byte in told)

    return "&".join(f"{name}={quoted(value)}" for name, value in find_runtime(harness).items())


def token_file(folder: str, name: str) -> str:
    """Return the file with the token of a member in the room's folder. Raises UnreachableError."""
    if "/" in name or name.startswith("."):
        raise UnreachableError("--as names no member")
    return f"{folder}/members/{name}.token"


def rules_beside(token_file: str) -> str:
    """Return the file with the rules of the member whose token is in a file."""
    return f"{token_file.removesuffix('.token')}.rules"


def rules_of(folder: str, token: str) -> str:
    """Return the file with the rules of a member whose token is in no file."""
    import hashlib

    return f"{folder}/members/{hashlib.sha256(token.encode(errors='replace')).hexdigest()[:16]}.rules"


def kept_mark(path: str) -> str:
    """Return the mark of the rules that are kept."""
    try:
        with open(
            os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), encoding="ascii", errors="replace"
        ) as file:
            mark = file.readline(MARK_CHARACTERS).strip()
    except FileNotFoundError:
        return NO_RULES
    except OSError:
        return OTHER_RULES
    return mark if mark.isalnum() else OTHER_RULES


def saved_token(path: str) -> str:
    """Return the token that is saved in a private file. Raises UnreachableError, OSError."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), encoding="ascii") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.geteuid() or status.st_mode & OTHERS_READ:
            raise UnreachableError(f"{path} {PRIVATE}")
        return file.read(4096)


def host_of(folder: str) -> str:
    """Return the host and port that the folder's server announced. Raises UnreachableError, OSError."""
    try:
        with open(f"{folder}/server.json", encoding="utf-8") as file:
            found = file.read(4096).partition('"url": "')[2].partition('"')[0].partition("://")[2]
    except FileNotFoundError:
        found = ""
    if not found:
        raise UnreachableError(f"no room runs in {folder}")
    return found.partition("/")[0]


def ask_on_socket(folder: str, host: str, path: str, headers: dict[str, str], said: bytes) -> str:
    """Ask on the socket in the room's folder. Raises UnreachableError, OSError."""
    status = os.stat(folder)
    if status.st_uid != os.geteuid() or status.st_mode & OTHERS_WRITE:
        raise UnreachableError(f"{folder} {PRIVATE}")
    given = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{given}Connection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(said)}\r\n\r\n"
    )
    os.chdir(folder)  # an address of a socket has at most about 100 bytes
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect("room.sock")
        connection.sendall(head.encode() + said)
        received = b""
        while (block := connection.recv(BLOCK_BYTES)) and len(received) < ANSWER_BYTES:
            received += block
    head_part, _, body = received.partition(b"\r\n\r\n")
    if not head_part.startswith(b"HTTP/1.1 200 "):
        raise UnreachableError(f"the room answered {head_part[9:12].decode(errors='replace') or 'nothing'}")
    return body.decode()
