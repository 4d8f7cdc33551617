"""A server that never notices that its database is silent, and that remembers who may act.

It is a twin of a server of a room in PostgreSQL: `python -m tests.campaigns.never_notices FOLDER PORT`.
"""

import math
from unittest import mock

from teamroom.server.app import engine_of
from teamroom.server.settings import load
from teamroom.server.store.postgres import link
from tests.campaigns.pauses import cached_standing
from tests.campaigns.twin_server import run

if __name__ == "__main__":
    with mock.patch.object(link, "SILENT_SECONDS", math.inf), cached_standing():
        run(choose_engine=engine_of(load()))
