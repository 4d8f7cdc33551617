"""The package: one importable name, the whole tree in it, whichever way it is built."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.promises import house
from tests.support.repository import ROOT

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
    return files | {"teamroom/__init__.py", "teamroom/py.typed"}


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


def test_the_links_lead_to_the_folders() -> None:
    for folder in FOLDERS:
        link = ROOT / "src" / "teamroom" / folder
        assert link.is_symlink()
        assert link.resolve() == ROOT / folder


def test_the_lock_files_pin_what_the_project_asks_for() -> None:
    locked = (ROOT / "requirements.lock").read_text()
    for name in ("mcp==2.3.", "uvicorn==", "aiosqlite==", "pydantic==", "typer==", "rich=="):
        assert f"\n{name}" in f"\n{locked}", name
    assert "--hash=sha256:" in locked
    assert "http" not in locked.replace("httpcore2", "").replace("httptools", "").replace("httpx2", "")
