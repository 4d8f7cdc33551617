"""How long one use of the switch takes, alone and beside each kind of load: python -m tests.bench.switch [USES].

Each row is a run of the campaign `tests.campaigns.switch` with these loads, over HTTP and over the room's own socket.
"""

import asyncio
import random
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.campaigns.loads import LOADS
from tests.campaigns.switch import campaign

USES = 110
ROWS = {"nothing": (), **{kind: (kind,) for kind in LOADS}, "all of them": tuple(LOADS)}
WAYS = ("one over HTTP", "one over the socket", "one sync of the disk")


def main() -> None:
    """Measure, and print a table."""
    uses = int(sys.argv[1]) if len(sys.argv) > 1 else USES
    table = Table("beside", *WAYS, title=f"{uses} pauses, resumes and kills each")
    for row, loads in track(ROWS.items(), console=Console(stderr=True), transient=True):
        with tempfile.TemporaryDirectory() as folder:
            run = campaign(Path(folder) / "room", uses, seed=random.SystemRandom().randrange(2**32), loads=loads)
            outcome = asyncio.run(run)
        table.add_row(row, *(str(outcome.figures[way]) for way in WAYS))
    Console().print(table)


if __name__ == "__main__":
    main()
