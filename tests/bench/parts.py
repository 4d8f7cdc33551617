"""The benchmarks of the one run, each as a part with figures that are judged."""

import os
import platform
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from tests.bench import costs, day, growth, large, memory, rivals, search, servers, wake
from tests.bench.database import empty_database, is_on_this_machine
from tests.bench.figure import Figure, Growth, Part
from tests.campaigns.campaign import quantile


@dataclass(frozen=True)
class Asked:
    """How much is measured."""

    rounds: int = costs.ROUNDS
    entries: tuple[int, ...] = growth.ENTRIES
    members: tuple[int, ...] = growth.MEMBERS
    listeners: tuple[int, ...] = wake.LISTENERS
    day_seconds: float = day.SECONDS
    messages: int = search.MESSAGES


@dataclass
class Found:
    """What a part found so far."""

    figures: list[Figure]
    growths: list[Growth]
    notes: list[str]
    sizes: str = ""


def measured(name: str, asked: Asked) -> Part:
    """Run one of the parts."""
    found, began = Found([], [], []), time.monotonic()
    PARTS[name](asked, found)
    seconds = round(time.monotonic() - began)
    day_ = time.strftime("%Y-%m-%d")
    return Part(day_, seconds, tuple(found.figures), tuple(found.growths), found.sizes, tuple(found.notes))


def machine() -> str:
    """What the figures were measured on, in words."""
    return (
        f"{os.cpu_count()} cores of {platform.machine()}, {platform.system()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}; at the end of the run, {os.getloadavg()[2]:.0f} programs wanted a core"
    )


# ------------------------------------------------------------------ the parts


def _calls(asked: Asked, found: Found) -> None:
    with empty_database() as database:
        if database is None:
            found.notes.append("No PostgreSQL could be reached or started, so that engine was not measured.")
        versions = costs.run(list(costs.TARGETS), asked.rounds, database=database)
    costs.show(versions, list(costs.TARGETS))
    for era in costs.ERAS:
        no_op, *rooms = [version for version in versions if version.era == era]
        for room in rooms:
            for name in costs.TARGETS:
                target = costs.target_of(room.name, name)
                share = costs.share_of(room.costs[name], no_op.costs[name])
                figure = Figure(
                    f"`{name}`, {era}",
                    round(median(room.costs[name])),
                    "µs",
                    round(share, 2),
                    target=target,
                    is_least=True,
                    floor=round(median(no_op.costs[name])),
                    engine=room.name,
                )
                found.figures.append(figure)


def _entries(asked: Asked, found: Found) -> None:
    by_entries = growth.run(growth.measure_entries, asked.entries)
    growth.show(by_entries, "log entries")
    _grows(found, by_entries, "entries", growth.BOUND)
    if not is_on_this_machine():
        found.notes.append("No PostgreSQL was reached on this machine, so its growth was not measured.")
        return
    on_postgres = growth.run(growth.measure_entries_on_postgres, asked.entries)
    growth.show(on_postgres, "log entries, on PostgreSQL")
    _grows(found, {f"{name}, PostgreSQL": costs for name, costs in on_postgres.items()}, "entries", growth.BOUND)


def _members(asked: Asked, found: Found) -> None:
    by_members = growth.run(growth.measure_members, asked.members)
    growth.show(by_members, "members")
    _grows(found, by_members, "members", None)


def _grows(found: Found, grown: growth.Costs, sizes: str, bound: float | None) -> None:
    found.sizes = sizes
    for name, by_size in grown.items():
        call, *engine = name.split(", ")
        title = ", ".join((f"`{call}`", *engine))
        found.growths.append(Growth(title, {size: round(cost) for size, cost in by_size.items()}, bound=bound))


def _wakes(asked: Asked, found: Found) -> None:
    wakes = {count: wake.measure(count) for count in asked.listeners}
    wake.show(wakes)
    found.sizes = "listeners"
    for count, each in wakes.items():
        room, floor = each[wake.ROOM], each[wake.FLOOR]
        times = round(wake.times_of(each), 2)
        name = f"wake, one of {count:,} listeners, half of them"
        limit = wake.MOST_TIMES
        found.figures.append(Figure(name, round(room.p50, 2), "ms", times, "times", limit, floor=round(floor.p50, 2)))
    for name in (wake.ROOM, wake.FLOOR, wake.BARE):
        half = {count: round(each[name].p50, 2) for count, each in wakes.items()}
        found.growths.append(Growth(f"a wake, {name}", half, "ms"))
        cpu = {count: round(each[name].cpu_us) for count, each in wakes.items()}
        found.growths.append(Growth(f"its CPU, {name}", cpu))


def _memory(asked: Asked, found: Found) -> None:
    ways = memory.measure(max(asked.listeners))
    memory.show(ways)
    bare = round(ways[-1].kib, 1)
    for name in memory.WAYS.keys() - {way.name for way in ways}:
        found.notes.append(f"{name}: the machine was so slow that its waits were over too early.")
    for way in ways[:-1]:
        found.figures.append(Figure(way.name, kib := round(way.kib, 1), "KiB", kib, "KiB", way.limit, floor=bare))


def _day(asked: Asked, found: Found) -> None:
    lived = day.measure(asked.day_seconds)
    day.show(lived)
    share, floor = round(lived.share, 4), round(lived.floor_share, 4)
    found.figures.append(
        Figure("a thousand agents at work, of one core", share, "%", share, "%", day.MOST_SHARE, floor=floor)
    )
    found.notes.append(
        f"{lived.calls:,} calls in {lived.seconds:.0f} s; the latest was sent {lived.late_seconds * 1000:.0f} ms late."
    )


def _servers(asked: Asked, found: Found) -> None:
    posts = servers.measure()
    if not posts:
        found.notes.append("No PostgreSQL could be reached or started.")
        return
    servers.show(posts)
    for count, each in posts.items():
        which, engine = "one server" if count == 1 else f"{count} servers", costs.POSTGRES
        for name, value, unit in (
            ("posts a second", each.per_second, ""),
            ("CPU of the servers, a post", each.server_cpu, "ms"),
            ("CPU of PostgreSQL, a post", each.database_cpu, "ms"),
            ("wait for the room's lock, a post", each.lock_wait, "ms"),
            ("acts a commit", each.acts_per_commit, ""),
        ):
            number = round(value, 2)
            found.figures.append(Figure(f"{name}, {which}", number, unit, number, unit, engine=engine))


def _large(asked: Asked, found: Found) -> None:
    room = large.run()
    large.show(room)
    for tool, (small, full, times) in room.calls.items():
        name = f"`{tool}` over the wire, a million entries against ten thousand"
        costs_ = round(full, 3), "ms", round(times, 2), "times"
        found.figures.append(Figure(name, *costs_, large.GROWTH, floor=round(small, 3)))
    for engine, measured_ in room.large.items():
        for uri, cost in measured_.reads.items():
            ms, most = round(cost, 1), large.READ_MILLISECONDS
            found.figures.append(Figure(f"`{uri}`", ms, "ms", ms, "ms", most, engine=engine))
        seconds, few = round(measured_.start, 2), round(room.small_start, 2) if engine == costs.SQLITE else None
        name, most = "a start until the room is ready", large.READY_SECONDS
        found.figures.append(Figure(name, seconds, "s", seconds, "s", most, floor=few, engine=engine))
    on_disk = round(room.on_disk)
    found.figures.append(Figure("on disk for each entry", on_disk, "bytes", on_disk, "bytes", large.ENTRY_BYTES))
    if costs.POSTGRES not in room.large:
        found.notes.append("No PostgreSQL was reached on this machine, so the large room was not measured there.")


def _search(asked: Asked, found: Found) -> None:
    engines = search.run(asked.messages)
    search.show(engines, asked.messages)
    for engine, searched in engines.items():
        scan = round(median(searched[search.SCAN]), 1)
        for name, each in searched.items():
            if name != search.SCAN:
                p99, limit = round(quantile(each, 0.99), 1), search.limit_of(name)
                figure = Figure(f"{name}, 99 of 100", p99, "ms", p99, "ms", limit, floor=scan, engine=engine)
                found.figures.append(figure)
    if costs.POSTGRES not in engines:
        found.notes.append("No PostgreSQL was reached on this machine, so search was not measured there.")


def _rivals(asked: Asked, found: Found) -> None:
    outcomes = rivals.measure()
    rivals.show(outcomes)
    for rival in outcomes:
        for work, cost, ours in rival.costs:
            figure = Figure(
                f"{work}, `{rival.name}`",
                round(cost),
                "µs",
                round(cost / ours, 1),
                "times",
                floor=round(ours),
                engine="its own",
            )
            found.figures.append(figure)
        if rival.failed or rival.but:
            said = (words.rstrip(".") for words in (rival.failed, rival.but) if words)
            found.notes.append(f"`{rival.name}`: {'; '.join(said)}.")


PARTS: dict[str, Callable[[Asked, Found], None]] = {
    "calls": _calls,
    "entries": _entries,
    "members": _members,
    "wakes": _wakes,
    "memory": _memory,
    "day": _day,
    "servers": _servers,
    "large": _large,
    "search": _search,
    "rivals": _rivals,
}
"""What measures each part, in the order of the page."""
