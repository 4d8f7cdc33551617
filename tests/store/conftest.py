"""What all tests of stores share."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.postgres import patience


@pytest.fixture(autouse=True)
def patient_with_postgres(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let a database be slow while other tests make and drop theirs, except where a test is about one that is."""
    is_about_one = request.node.get_closest_marker("postgres") is None or "database_faults" in request.node.nodeid
    with contextlib.nullcontext() if is_about_one else patience():
        yield
