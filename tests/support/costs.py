"""Measures the CPU that tests cost: each test with the processes that it waited for, and the whole run.

At the end of a run, pytest prints the CPU of all its processes and the tests that took longest. CPU compares two runs
better than time does, because it hardly depends on what else the machine does.
"""

import os
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

SHOWN = 20
"""How many of the most expensive tests a run prints."""

FEWEST = 2
"""A run of fewer tests prints nothing more."""


def cpu_seconds() -> float:
    """The CPU of this process and of its children that it waited for, in user and system mode."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Costs:
    """A plugin of pytest, in each worker and in the process that started them."""

    def __init__(self) -> None:
        self._cpu: Counter[str] = Counter()
        self._time: Counter[str] = Counter()
        self._workers = 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._before = cpu_seconds()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note on each report of a test (setup, call, teardown) what it cost since the one before."""
        report = yield
        now = cpu_seconds()
        report.cpu = now - self._before
        self._before = now
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        self._cpu[report.nodeid] += report.cpu
        self._time[report.nodeid] += report.duration

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["cpu"] = cpu_seconds()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._workers += getattr(node, "workeroutput", {}).get("cpu", 0.0)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if len(self._cpu) < FEWEST:
            return
        total = max(cpu_seconds(), self._workers + os.times().user + os.times().system)
        terminalreporter.section(f"{total:.0f} s of CPU; the tests that cost most")
        for name, cpu in self._cpu.most_common(SHOWN):
            terminalreporter.write_line(f"{cpu:7.2f} s of CPU {self._time[name]:7.2f} s  {name}")
