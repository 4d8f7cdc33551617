"""The end of a join: its wake is proven by a round trip, within a bound.

A harness that a listener starts is woken by the very command that starts it later. An open session must be opened by
its person first, so that is waited for on a terminal only.
"""

import contextlib
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from teamroom.clients.session.blocking import connected
from teamroom.clients.session.failure import Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.program import own_name
from teamroom.clients.session.progress import progress
from teamroom.clients.session.terminal import plain, say
from teamroom.clients.shell.join_plans import Plan

OPEN_SECONDS, LISTEN_SECONDS, PROOF_SECONDS, RUN_SECONDS = 60, 20, 120, 20
"""How long a join waits: for a session that its person opens, for a listener that it starts, for the round trip, and
for the end of the run after it.
"""

END_SECONDS = 15.0
LOOK_SECONDS = 1.0
LOG_LINES, LOG_BYTES = 12, 16_384


def prove_wakes(place: Place, plans: Sequence[Plan], is_proven: bool, on_terminal: bool) -> None:
    """Wake each member that joined, and print how long each step took; or say why not, and how to do that later."""
    for plan in plans:
        if plan.harness.files is None:
            continue
        is_done = False
        why_not = _why_not_proven(plan, on_terminal)
        try:
            if is_proven and why_not:
                print(f"The wake of @{plan.name} is not proven: {why_not}.")
            elif is_proven:
                prove = _prove_by_listener if plan.is_started_for_wakes else _prove_open_session
                is_done = prove(place, plan)
        except KeyboardInterrupt:
            say("Skipped.")
        except Failure as failure:
            say(failure.text())
        if not is_done:
            _say_how(plan)


def _why_not_proven(plan: Plan, on_terminal: bool) -> str:
    """Return why a join cannot wake a harness now; "" if it can."""
    if not plan.harness.is_woken:
        return f"nothing wakes {plan.harness.name}, and it sees what waits when its person opens it"
    if not plan.is_installed:
        return f"there is no {' or '.join(plan.harness.programs)} on your PATH"
    if not plan.is_started_for_wakes and not on_terminal:
        return "a person must open the session, and this is no terminal"
    return ""


def _say_how(plan: Plan) -> None:
    """Say how to have a harness wake later, and how to see it."""
    if not plan.harness.is_woken:
        return
    if plan.is_started_for_wakes and not plan.identity.joined.is_resident:
        start = shlex.join(plan.listener)
        print(f"To have @{plan.name} wake, keep this running in its folder: {plain(start)}")
    print(f"To see that @{plan.name} wakes, start it and run: {own_name()} doctor --wake {plan.name}")


def _prove_by_listener(place: Place, plan: Plan) -> bool:
    """Start the listener as it is started later, make the round trip, and end it; returns whether all was seen."""
    say(f"Waking @{plan.name} once, with its own command: {plain(shlex.join(plan.harness.run))} (Ctrl-C skips)")
    with _listening(place, plan) as (process, log):
        is_there = _until(place, plan, LISTEN_SECONDS, "to listen", _is_listening, lambda: process.poll() is None)
        is_done = is_there and _make_round_trip(place, plan)
        if is_done:
            _until(place, plan, RUN_SECONDS, "to end its run", lambda member: member["run"] is None)
        else:
            _show_log(log)
    return is_done


def _prove_open_session(place: Place, plan: Plan) -> bool:
    """Wait until the person has opened the session, and make the round trip; returns whether all was seen."""
    where = "" if plan.harness.is_users else f" in {plain(str(plan.seat.machine.folder))}"
    say(f"Open {plan.harness.name}{where} now. I wait up to {OPEN_SECONDS} s (Ctrl-C skips).")
    if not _until(place, plan, OPEN_SECONDS, "to listen", _is_listening):
        say(f"No listener of @{plan.name} was seen within {OPEN_SECONDS} s.")
        return False
    return _make_round_trip(place, plan)


def _is_listening(member: dict[str, Any]) -> bool:
    return bool(member["listening"])


def _until(
    place: Place,
    plan: Plan,
    seconds: int,
    what: str,
    is_so: Callable[[dict[str, Any]], bool],
    is_worth_it: Callable[[], bool] = lambda: True,
) -> bool:
    """Wait until something is so of the member, as long as that is worth it; returns whether it is."""
    began = time.monotonic()
    with connected(place) as room, progress(f"waiting for @{plan.name} {what}") as (report,):
        while (waited := time.monotonic() - began) < seconds and is_worth_it():
            (member,) = room.call("who", name=plan.identity.joined.name)["members"]
            if is_so(member):
                return True
            report(int(waited), seconds)
            time.sleep(LOOK_SECONDS)
    return False


def _make_round_trip(place: Place, plan: Plan) -> bool:
    """Wake the member, and print how long each step took; returns whether each was seen."""
    from teamroom.clients.doctor.wake_drill import wake_drill

    findings = list(wake_drill(place, plan.identity.joined.name, bound=PROOF_SECONDS))
    for finding in findings:
        print(f"  {finding.found}")
        if finding.fix:
            print(f"  Fix: {finding.fix}")
    is_done = all(finding.level == "ok" for finding in findings)
    print(f"@{plan.name} {'wakes' if is_done else 'was not seen to wake'}.")
    return is_done


@contextlib.contextmanager
def _listening(place: Place, plan: Plan) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run the member's listener until the block ends. What it says goes into a file."""
    environment = {name: value for name, value in place.environment.items() if not name.startswith("TEAMROOM_")}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "listener")
        with (
            log.open("wb") as output,
            subprocess.Popen(
                plan.listener,
                cwd=plan.seat.machine.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            try:
                yield process, log
            finally:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a listener, which ends what it runs."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _show_log(log: Path) -> None:
    """Print the last lines that a listener and its command printed."""
    lines = log.read_bytes()[-LOG_BYTES:].decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    for line in lines:
        say(f"  {plain(line)}")
