"""The package: one importable name, the whole tree in it, whichever way it is built."""

import itertools
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from teamroom.server.notify.channels import INSTALL
from tests.support.promises import house
from tests.support.repository import ROOT
from tests.support.shells import Shell, up

pytestmark = house

FOLDERS = ("server", "tools", "resources", "clients")


def run(*command: str, cwd: Path = ROOT) -> str:
    """Run a command; returns what it printed, fails with it."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source archive, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return folder


def tree() -> set[str]:
    """The files of the four folders as the package holds them."""
    files = {f"teamroom/{folder}/{path.relative_to(ROOT / folder)}" for folder in FOLDERS for path in walk(folder)}
    return files | {"teamroom/__init__.py", "teamroom/client.py", "teamroom/py.typed"}


def walk(folder: str) -> list[Path]:
    return [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_the_wheel_holds_one_package_with_the_whole_tree(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    packaged = {name for name in names if ".dist-info/" not in name}
    assert packaged == tree()
    assert {name.split("/")[0] for name in packaged} == {"teamroom"}


def test_the_source_archive_holds_each_file_once(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = [member.name for member in archive.getmembers() if member.isfile()]
        assert not [member.name for member in archive.getmembers() if member.issym()]
    code = [name.split("/src/", 1)[1] for name in names if "/src/" in name]
    assert set(code) == tree()
    assert len(code) == len(set(code))


def test_the_installed_wheel_has_a_shell_and_finds_its_sql(built: Path, tmp_path: Path) -> None:
    wheel = str(next(built.glob("*.whl")))
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(tmp_path), wheel)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import teamroom; assert teamroom.__file__.startswith(sys.argv[1]), teamroom.__file__\n"
        "from teamroom.server.store.statements import known_migrations, sqlite_statements\n"
        "import teamroom.clients.shell.main\n"
        "print(len(sqlite_statements()) > 50 and len(known_migrations()) > 0)"
    )
    assert run(sys.executable, "-c", code, str(tmp_path), cwd=tmp_path).strip() == "True"
    assert (tmp_path / "bin" / "teamroom").exists()


def test_the_wheel_installed_as_a_tool_opens_a_room_that_answers(built: Path, tmp_path: Path) -> None:
    """As `uv tool install` and `pipx install` do it: an environment of its own, outside the repository."""
    shell = Shell(tmp_path, teamroom=install_as_tool(next(built.glob("*.whl")), tmp_path))
    room = tmp_path / "room"
    with up(room, "--owner", "olga", shell=shell) as opened:
        assert Path(opened.shell.teamroom).is_relative_to(tmp_path)
        enrolled = opened.shell.run("enroll", "builder", "--json")
        assert enrolled.json["url"] == f"{opened.url}/mcp"
        assert [member["name"] for member in opened.shell.run("roster", "--json").json["members"]] == [
            "builder",
            "olga",
        ]
        as_builder = opened.shell.with_(TEAMROOM_TOKEN=enrolled.json["token"])
        assert as_builder.run("board", "--json").json["tasks"] == []
        assert opened.stop()[0] == 0


def install_as_tool(wheel: Path, folder: Path) -> str:
    """Install a wheel with what it depends on, in the versions that are tested here; returns its console script."""
    uv = Path(sys.executable).with_name("uv")
    places = {"UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    command = [uv, "tool", "install", "--python", sys.executable, "--constraints", ROOT / "requirements.lock", wheel]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **places}, capture_output=True, text=True, timeout=300, check=False
    )
    if "error sending request" in done.stderr:
        pytest.skip("no package index can be reached, so nothing can be installed from one")
    assert done.returncode == 0, done.stderr
    return str(folder / "bin" / "teamroom")


def test_the_links_lead_to_the_folders() -> None:
    for folder in FOLDERS:
        link = ROOT / "src" / "teamroom" / folder
        assert link.is_symlink()
        assert link.resolve() == ROOT / folder


# ------------------------------------------------------------------ what is installed

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, GROUPS = PYPROJECT["project"], PYPROJECT["dependency-groups"]

PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)((?: ;[^\\]*)?)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$")


def asked_for(*names: object) -> list[Requirement]:
    """What some lists of pyproject.toml ask for; a list may include a group."""
    found: list[Requirement] = []
    for one in names:
        if isinstance(one, dict):
            found += asked_for(*GROUPS[one["include-group"]])
        else:
            found.append(Requirement(str(one)))
    return found


LOCKS = {
    "requirements.lock": asked_for(*PROJECT["dependencies"]),
    "requirements-build.lock": asked_for(*PYPROJECT["build-system"]["requires"], *GROUPS["build"]),
    "requirements-postgres.lock": asked_for(*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["postgres"]),
    "requirements-notify.lock": asked_for(*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["notify"]),
    "requirements-dev.lock": asked_for(*PROJECT["dependencies"], *GROUPS["dev"]),
}
"""Each lock file, and what it must pin."""


def pinned(text: str) -> dict[str, set[str]]:
    """The versions of each package in a lock file. Raises AssertionError for anything but pins with hashes."""
    versions: dict[str, set[str]] = {}
    for entry in re.split(r"\n(?=\S)", text.rstrip("\n")):
        pin = PIN.match(entry)
        assert pin is not None, f"not a pin with hashes: {entry}"
        versions.setdefault(canonicalize_name(pin[1]), set()).add(pin[2])
    return versions


def unpinned(text: str, requirements: list[Requirement]) -> list[str]:
    """What a lock file does not pin, or pins to a version that was not asked for."""
    versions = pinned(text)
    return [
        str(requirement)
        for requirement in requirements
        if not (found := versions.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version) for version in found)
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_each_lock_file_pins_with_hashes_what_the_project_asks_for(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert unpinned(text, LOCKS[name]) == [], "run make lock again"
    without_hash = re.sub(r" \\\n    --hash=\S+", "", text)
    with pytest.raises(AssertionError, match="not a pin with hashes"):
        pinned(without_hash)
    first = LOCKS[name][0]
    for other in (f"{first.name}>=9999", f"{first.name}-more"):
        assert unpinned(text, [Requirement(other)]) == [other], "the twin: something else was asked for"


def test_the_lock_files_agree_because_one_environment_gets_several() -> None:
    found = [pinned((ROOT / name).read_text(encoding="utf-8")) for name in LOCKS]
    for first, second in itertools.combinations(found, 2):
        assert {name: first[name] for name in first.keys() & second} == {
            name: second[name] for name in first.keys() & second
        }


def test_make_writes_each_lock_file_and_installs_nothing_that_is_not_locked() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert sorted(re.findall(r"-o (\S+\.lock)", makefile)) == sorted(LOCKS)
    recipes = [line for line in makefile.splitlines() if line.startswith("\t")]
    installs = [
        line for line in recipes if re.search(r"\$\(INSTALL\)|\bpip (install|wheel)\b|\buv (pip|tool) install", line)
    ]
    assert installs
    assert [line for line in installs if not is_locked(line)] == []
    used = {name for line in installs for name in re.findall(r"-r (\S+\.lock)", line)}
    assert used == set(LOCKS)


def test_the_pages_install_nothing_that_is_not_locked() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    installs = [
        line
        for page in pages
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.search(r"\bpip (install|wheel) ", line)
    ]
    assert installs
    assert [line for line in installs if not is_locked(line)] == []
    assert is_locked(INSTALL)
    for unlocked in ("pip install -e '.[notify]'", "pip wheel --no-deps -w dist .", "pip install --no-deps -e ."):
        assert not is_locked(unlocked), "the twin"


def is_locked(command: str) -> bool:
    """Whether all that a command installs is pinned by hash: from a lock file, or the room itself and nothing else."""
    builds_here = re.search(r" \.( |$)", command) is not None
    alone = "--no-deps" in command and ("--no-build-isolation" in command or not builds_here)
    return "--require-hashes" in command or alone
