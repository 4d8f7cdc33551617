"""Runs a model: so many runs of so many steps, counted, with or without the fault that it must find."""

import contextlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as given_seed
from hypothesis.stateful import run_state_machine_as_test

from tests.models import (
    approvals,
    cursors,
    decisions,
    hand_offs,
    leases,
    permissions,
    presence,
    quiet,
    receipts,
    reminders,
    spans,
    standing,
    tasks,
)
from tests.models.world import Model, on_engine

MODELS: dict[str, tuple[type[Model], Callable[[], Any]]] = {
    "standing": (standing.Standing, standing.TWIN),
    "tasks": (tasks.Tasks, tasks.TWIN),
    "hand-offs": (hand_offs.HandOffs, hand_offs.TWIN),
    "cursors": (cursors.Cursors, cursors.TWIN),
    "quiet": (quiet.Quiet, quiet.TWIN),
    "leases": (leases.Leases, leases.TWIN),
    "presence": (presence.Presence, presence.TWIN),
    "reminders": (reminders.Reminders, reminders.TWIN),
    "spans": (spans.Spans, spans.TWIN),
    "decisions": (decisions.Decisions, decisions.TWIN),
    "receipts": (receipts.Receipts, receipts.TWIN),
    "permissions": (permissions.Permissions, permissions.TWIN),
    "approvals": (approvals.Approvals, approvals.TWIN),
}
"""Each model with its twin: a fault that it must find."""


@dataclass
class Done:
    """What was done."""

    runs: int = 0
    steps: int = 0
    crashes: int = 0


def run(
    name: str,
    examples: int,
    steps: int,
    *,
    engine: str = "sqlite",
    twin: bool = False,
    seed: int | bool = True,
    advance: Callable[[], None] = lambda: None,
) -> tuple[str | None, Done]:
    """Run a model; returns what it found, if anything, and what was done.

    `engine`: what keeps the rooms, `sqlite` or `postgres`. `seed`: True for other runs each time, False or a number for
    the same ones.
    """
    model, fault = MODELS[name]
    done = Done()

    class Counted(model):  # type: ignore[misc, valid-type]
        """The model, its steps counted."""

        def check_invariants(self, *arguments: Any, **options: Any) -> None:
            done.steps += 1
            super().check_invariants(*arguments, **options)

        def teardown(self) -> None:
            done.runs += 1
            done.crashes += self.world.lives - 1
            super().teardown()
            advance()

    how = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=seed is False,
        phases=[Phase.generate] if twin else [Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with on_engine(engine), fault() if twin else contextlib.nullcontext():
        try:
            run_state_machine_as_test(Counted if isinstance(seed, bool) else given_seed(seed)(Counted), settings=how)
        except AssertionError as error:
            return "".join(traceback.format_exception(error, limit=-3)), done
    return None, done
