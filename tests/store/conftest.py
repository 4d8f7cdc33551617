"""What all tests of stores share."""

import pytest

from teamroom.server.store.postgres import link

SLOW_SECONDS = 20.0


@pytest.fixture(autouse=True)
def patient_with_postgres(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a database be slow while other tests make and drop theirs, except where a test is about one that is."""
    if request.node.get_closest_marker("postgres") is None or "database_faults" in request.node.nodeid:
        return
    monkeypatch.setattr(link, "ANSWER_SECONDS", SLOW_SECONDS)
    monkeypatch.setattr(link, "SILENT_SECONDS", SLOW_SECONDS)
