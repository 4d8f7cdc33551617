"""An open session that rests is woken by a mention, is not woken while it is paused, and leaves no listener behind."""

from pathlib import Path
from threading import Event

import pytest

from tests.harness.idle import SESSIONS, Session, is_listening, opened
from tests.harness.install import lacking
from tests.harness.room import room_of_processes
from tests.harness.script import Say, Seen, Step, Turn, use
from tests.harness.verifying import verifying
from tests.support.promises import promise
from tests.support.terminals import LACKING
from tests.support.watching import until

pytestmark = [promise("ID1", "PRS5"), pytest.mark.harness]

WAKE_SECONDS, REST_SECONDS = 30.0, 3.0


def unless_missing(session: Session) -> object:
    """A session as a parameter; it is skipped with a reason where its harness or a terminal is not installed."""
    missing = [*lacking(session.harness.command), *LACKING]
    skip = pytest.mark.skipif(bool(missing), reason=f"make test-harnesses installs it: {'; '.join(missing)}")
    return pytest.param(session, id=session.harness.command, marks=skip)


class Model:
    """A model that calls check_in once in each turn, and notes each turn that it was asked for."""

    def __init__(self, turns_before: int) -> None:
        self.asked: list[Event] = [Event() for _ in range(10)]
        self._turns_before = turns_before
        self._number = 0

    @property
    def steps(self) -> list[Step]:
        return [self._step] * 40

    def _step(self, seen: Seen) -> Turn:
        """In the first turns that nobody woke, and after a call, it has nothing to do."""
        if self._turns_before > 0:
            self._turns_before -= 1
            return Say("Hello.")
        if len(seen) > self._number:
            self._number = len(seen)
            return Say("That is all.")
        self.asked[self._number].set()
        return use("check_in")(seen)


@pytest.mark.parametrize("session", [unless_missing(session) for session in SESSIONS])
def test_an_open_session_that_rests_is_woken_and_calls_as_its_member(tmp_path: Path, session: Session) -> None:
    model = Model(int(session.starts_itself))
    with room_of_processes(tmp_path / "room") as room, verifying(session.harness.command, "wakes"):
        with opened(session, room, tmp_path, *model.steps) as open_:
            for number in range(2):
                room.owner("post_message", text=f"@builder how far is part {number}?")
                assert model.asked[number].wait(WAKE_SECONDS), open_.terminal.text[-1500:]
                until(lambda number=number: len(open_.model.seen) > number, "it called", WAKE_SECONDS)  # type: ignore[misc]
                assert f"how far is part {number}?" in open_.model.seen[number]
                until(lambda: is_listening(room), "it listens again", WAKE_SECONDS)
            room.owner("pause", target="builder", reason="the disk is full")
            room.owner("post_message", text="@builder and part 2?")
            assert not model.asked[2].wait(REST_SECONDS), "a paused member is not woken"
            room.owner("resume", target="builder")
            assert model.asked[2].wait(WAKE_SECONDS), open_.terminal.text[-1500:]
        until(lambda: not is_listening(room), "no listener is left", WAKE_SECONDS)
