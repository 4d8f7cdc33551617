"""A server that holds the room's duties for a minute, a twin: python -m tests.campaigns.long_leases FOLDER PORT."""

from unittest import mock

from teamroom.server import app
from teamroom.server.settings import load
from teamroom.server.supervisor import servers
from tests.campaigns.twin_server import run

LEASE_SECONDS = 60.0

if __name__ == "__main__":
    with (
        mock.patch.object(app, "LEASE_SECONDS", LEASE_SECONDS),
        mock.patch.object(servers, "LEASE_SECONDS", LEASE_SECONDS),
    ):
        run(choose_engine=app.engine_of(load()))
