"""A PostgreSQL server that tests start themselves, where the machine has its programs."""

import atexit
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STARTS_SECONDS = 30
NOBODY = "nobody"
"""Who runs the server if the tests run as root, which PostgreSQL refuses."""


@dataclass(frozen=True)
class OwnServer:
    """A cluster in a folder of its own, on 127.0.0.1 and on what else it is told to listen to."""

    folder: Path
    port: int
    programs: Path
    also_on: str | None = None
    """One more address of this machine; everybody in its network of four addresses is trusted."""

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def control(self, *words: str) -> None:
        """Run `pg_ctl`. Raises CalledProcessError."""
        _run(str(self.programs / "pg_ctl"), "-D", str(self.folder / "data"), "-w", *words)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        listens = ",".join(("127.0.0.1", *([self.also_on] if self.also_on else [])))
        options = f"-p {self.port} -c listen_addresses={listens} -c unix_socket_directories={self.folder}"
        self.control("-t", str(STARTS_SECONDS), "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, how: str = "fast") -> None:
        """Stop the server; `how`: smart, fast or immediate."""
        self.control("-m", how, "stop")


def make_own(folder: Path, also_on: str | None = None) -> OwnServer | None:
    """Make a cluster in an empty folder; None if the machine has no PostgreSQL."""
    programs = find_programs()
    if programs is None:
        return None
    if os.getuid() == 0:
        folder.chmod(0o755)
        shutil.chown(folder, NOBODY)
    _run(str(programs / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
    if also_on is not None:
        with (folder / "data" / "pg_hba.conf").open("a") as trusted:
            trusted.write(f"host all all {also_on}/30 trust\n")
    return OwnServer(folder, free_port(), programs, also_on)


@contextlib.contextmanager
def own_server(also_on: str | None = None) -> Iterator[OwnServer | None]:
    """A cluster that runs as long as the block, and is then removed; None if the machine has no PostgreSQL."""
    folder = Path(tempfile.mkdtemp(prefix="teamroom-postgres-"))
    own = make_own(folder, also_on)
    if own is not None:
        own.start()
    try:
        yield own
    finally:
        if own is not None:
            own.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


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
