"""Every state file is opened by `server/private.py`, which judges it. Other code may open what is listed here."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.promises import promise
from tests.support.repository import ROOT

pytestmark = promise("SAF1")

FOLDERS = ("server", "clients", "tools", "resources")
JUDGES = ROOT / "server" / "private.py"

OPENS = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "touch", "mkdir", "symlink_to", "hardlink_to"}
"""Methods that open or create files, on any object. Of plain functions, only `open` counts."""

OPENS_OF = {
    "os": {"open", "mkdir", "makedirs", "truncate", "chmod", "link", "symlink", "mkfifo", "fdopen"},
    "shutil": {"copy", "copy2", "copyfile", "copytree", "move"},
    "sqlite3": {"connect"},
    "tempfile": {"TemporaryDirectory", "NamedTemporaryFile", "mkstemp", "mkdtemp", "TemporaryFile"},
    "socket": {"bind"},
}
"""The same by the module that has them."""

ALLOWED: dict[str, str] = {
    "clients/bridge/connect.py _read_frames": "standard input",
    "clients/gate/gate.py host_of": "the address that the server announced, which is only named to the socket",
    "clients/gate/gate.py kept_mark": "the mark of the rules that the gate keeps, which only says whether to send them",
    "clients/gate/kept_rules.py keep_rules": "the folder of members' tokens, where a token came from elsewhere",
    "clients/gate/gate.py saved_token": "a token, whose owner and mode it checks, without the modules that do it here",
    "clients/harnesses/files.py find_config": "a harness's config, which its user may share; its owner is judged here",
    "clients/harnesses/verified.py load": "the record of what tests verified, which is part of the package",
    "clients/harnesses/files.py replace": "the same, as a new file beside it",
    "clients/importing/read.py _bytes": "a file of tasks, which a person names",
    "clients/listener/acp.py _hearing_bridge": "a new folder for a socket, which ends with the session's start",
    "clients/listener/qwen.py open_inbox": "a new folder for a socket, which ends with the message",
    "clients/listener/movement.py list_proc": "the kernel's list of processes",
    "clients/listener/movement.py _written_by": "the same",
    "clients/doctor/machine.py _commands": "the kernel's list of processes",
    "clients/session/lineage.py _read": "the kernel's list of processes",
    "clients/session/here.py _read": "git's own files of a checkout, of which a branch and a commit are read",
    "clients/shell/join_proof.py _listening": "a new folder for what a listener prints, which ends with it",
    "clients/shell/join_proof.py _show_log": "the file in it",
    "clients/watchdog/processes.py life_of_machine": "the kernel's list of processes",
    "clients/watchdog/machine.py _head": "the pid file of a runtime, which is the runtime's",
    "clients/shell/capabilities.py _plant_in_file": "a planted value, which members read; its draft is a new file",
    "clients/shell/capabilities.py _draft": "the same",
    "clients/shell/capabilities.py _is_ours": "the same",
    "clients/shell/exporting.py _written_whole": "an export, which a person names; its draft is a new file",
    "clients/shell/help.py install_completion": "the start file of the person's shell",
    "clients/shell/holding.py _hash_of": "a file that is evidence, which a person names",
    "clients/shell/letters.py _read": "a file with an address, which a person names",
    "clients/shell/run.py guarded": "the null device",
    "clients/shell/writing.py _save": "a new file for a text",
    "clients/shell/writing.py edit": "the same, after the person's editor had it",
    "clients/local/demo/folder.py _held": "the temporary folder of a demo, of which nothing is read",
    "clients/local/demo/folder.py temporary_home": "the same",
    "clients/local/demo/perform.py perform": "a new folder for a demo, which ends with it",
    "clients/local/demo/story.py show_hand_off": "a file of the demo's scripted agents in that folder",
    "clients/local/demo/story.py _sha256_of": "the same",
    "clients/local/service.py install": "the folder of the user's units, which other programs use too",
    "clients/local/snapshot.py _in_file": "SQLite opens it; check_database judged it",
    "resources/page/assets.py _read": "a file of the page, which is part of the package",
    "server/own_socket.py reachable": "a link in a new folder, for a shorter path to a socket that was judged",
    "server/restore.py _sync": "a folder or file of this folder, only to sync it",
    "server/restore.py _put_in_place": "a second name for the database, which was judged",
    "server/store/postgres/connect.py _migrate": "a migration, which is part of the package",
    "server/store/sqlite/connect.py _connect": "SQLite opens it; check_database judged it",
    "server/store/sqlite/connect.py migrate": "a migration, which is part of the package",
    "server/store/sqlite/copy.py copy_database": "SQLite opens a copy that was just created",
    "server/store/sqlite/copy.py open_to_read": "SQLite opens it; check_database judged it",
    "server/store/sqlite/rebuild.py _copy": "SQLite opens a copy that was just created",
    "server/store/sqlite/rebuild.py _sync": "the copy, or its folder, only to sync it",
    "server/store/sqlite/store.py open": "the reserve, which opens its file with open_private",
    "server/store/writer.py _serve": "the committer, which connects with connect_writer",
    "server/store/statements.py read_statements": "statements, which are part of the package",
}
"""Functions that open something else, and what."""

OWN_DESCRIPTORS = "os.fdopen"
"""Wraps an open descriptor. It counts where its argument is not one of `open_private`."""


def openings(path: Path) -> Iterator[str]:
    """The functions of a file that open or create files by themselves."""
    where = path.relative_to(ROOT)
    for function, call in _calls(ast.parse(path.read_text(encoding="utf-8")), "module"):
        if _opens(call):
            yield f"{where} {function}"


def _calls(node: ast.AST, function: str) -> Iterator[tuple[str, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        name = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(child, ast.Call):
            yield name, child
        yield from _calls(child, name)


def _opens(call: ast.Call) -> bool:
    words = ast.unparse(call.func).split(".")
    if ".".join(words) == OWN_DESCRIPTORS:
        return not (isinstance(call.args[0], ast.Call) and ast.unparse(call.args[0].func).endswith("open_private"))
    if len(words) == 2 and words[0] in OPENS_OF:
        return words[1] in OPENS_OF[words[0]]
    if len(words) == 1:
        return words == ["open"]
    if words[-1] == "open":
        return not call.args or isinstance(call.args[0], ast.Constant)  # Path.open("rb"), not store.open(vouch)
    return words[-1] in OPENS


def found() -> set[str]:
    files = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")) if path != JUDGES)
    return {opening for path in files for opening in openings(path)}


def test_every_state_file_is_opened_by_the_one_module_that_judges_it() -> None:
    assert found() - set(ALLOWED) == set()


def test_no_exception_is_left_over() -> None:
    assert set(ALLOWED) - found() == set()


def test_a_file_that_is_opened_elsewhere_would_be_found(tmp_path: Path) -> None:
    lines = (
        "open(path)",
        "path.open('rb')",
        "path.open()",
        "path.read_text()",
        "path.write_bytes(b'')",
        "path.mkdir()",
        "os.open(path, os.O_RDONLY)",
        "os.fdopen(os.open(path, 0))",
        "os.truncate(path, 0)",
        "sqlite3.connect(path)",
        "shutil.copyfile(a, b)",
    )
    for line in lines:
        calls = list(_calls(ast.parse(f"def f():\n    {line}\n"), "module"))
        assert any(_opens(call) for _, call in calls), line
        assert {name for name, _ in calls} == {"f"}
    for line in ("await self.store.open(vouch)", "os.fdopen(open_private(path), 'rb')", "read_private(path)"):
        tree = ast.parse(f"async def f():\n    {line}\n")
        assert not any(_opens(call) for _, call in _calls(tree, "module")), line
