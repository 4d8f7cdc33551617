"""The power cut under a room's store, again and again, and no acknowledged act lost (LOG4).

Members act through the room's own door and writer, on a disk in memory (`power`); at a random operation of that disk
its power goes. What was synced is there; what was not is there whole, torn, or not at all. The room is then opened
from those files as a server would open it: each act that was acknowledged must stand, whole, once, and the chain
must verify. Acts in doubt are called again in the next life.

The twin syncs as `pragma synchronous = normal` does, so that a commit is answered before it is sure.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from teamroom.server.clock import wall_clock
from teamroom.server.door import Door
from teamroom.server.identity import Caller
from teamroom.server.log import logger as log_logger
from teamroom.server.metrics import Metrics
from teamroom.server.settings import Settings
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.sqlite import writer as writers
from teamroom.server.store.sqlite.store import SqliteStore
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context
from tests.bench.campaign import Advance, Outcome, command, over_time, silently
from tests.bench.power import Connection, Disk
from tests.bench.stored_acts import Expected, Told, Wanted, everybody_acts, fresh_copy, make_room

CUTS_OF_A_ROOM = 25
OPERATIONS = 400
"""The power goes within so many operations of the disk: about 40 commits."""

CHECKPOINT_COMMITS = 3
NAMES = (DATABASE, f"{DATABASE}-wal")
