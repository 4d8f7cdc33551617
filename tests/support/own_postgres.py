"""A PostgreSQL server that tests start themselves, where the machine has its programs."""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

STARTS_SECONDS = 30
NOBODY = "nobody"
"""Who runs the server if the tests run as root, which PostgreSQL refuses."""


@dataclass(frozen=True)
class OwnServer:
    """A cluster in a folder of its own, on 127.0.0.1."""

    folder: Path
    port: int
    programs: Path

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def control(self, *words: str) -> None:
        """Run `pg_ctl`. Raises CalledProcessError."""
        _run(str(self.programs / "pg_ctl"), "-D", str(self.folder / "data"), "-w", *words)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self.control("-t", str(STARTS_SECONDS), "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, how: str = "fast") -> None:
        """Stop the server; `how`: smart, fast or immediate."""
        self.control("-m", how, "stop")


def make_own(folder: Path) -> OwnServer | None:
    """Make a cluster in an empty folder; None if the machine has no PostgreSQL."""
    programs = find_programs()
    if programs is None:
        return None
    if os.getuid() == 0:
        folder.chmod(0o755)
        shutil.chown(folder, NOBODY)
    _run(str(programs / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
    return OwnServer(folder, free_port(), programs)


def start_own() -> str | None:
    """Start a server for this run of the tests, which is stopped at its end; None if there are no programs."""
    folder = Path(tempfile.mkdtemp(prefix="teamroom-postgres-"))
    server = make_own(folder)
    if server is None:
        folder.rmdir()
        return None
    server.start()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.stop, "immediate")
    return server.address


def find_programs() -> Path | None:
    """The folder of PostgreSQL's programs of the newest release on this machine."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    places = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(places, key=lambda place: int(place.parent.name), default=None)


def free_port() -> int:
    """A port on which nothing listens now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _run(*command: str) -> None:
    as_nobody = {"user": NOBODY} if os.getuid() == 0 else {}
    subprocess.run(command, check=True, capture_output=True, timeout=60, cwd="/", **as_nobody)  # type: ignore[call-overload]
