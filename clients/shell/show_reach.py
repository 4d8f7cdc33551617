"""What the shell shows of capabilities and of the policy that decides which of them count."""

from typing import Any

from rich.text import Text

from teamroom.clients.session.terminal import aligned, console, grid, plain, print_json, say, until
from teamroom.server.acts.capabilities.plants import Planted, Plants
from teamroom.server.acts.control.policy import Policy, PolicySet
from teamroom.server.facts.capability import CapabilityShown


def capability(shown: CapabilityShown) -> str:
    """A capability with how it is known, by whom and for how long."""
    by = f" by @{plain(shown.by)}" if shown.by else ""
    left = f" for {until(shown.until)}" if shown.until and shown.state != "expired" else ""
    idle = "" if shown.counts else ", does not count"
    return f"{plain(shown.capability)} ({shown.state}{by}{left}{idle})"


def planted(reply: dict[str, Any], file: str | None, to_print: bool, as_json: bool) -> None:
    """Where a new value stands; the value itself only where it was asked for, alone on standard output."""
    done = Planted.model_validate({key: value for key, value in reply.items() if key in Planted.model_fields})
    if as_json:
        print_json({**reply, "file": file, "value": done.value if to_print else None})
        return
    asked = f"{done.asked} member{'s' if done.asked != 1 else ''} asked"
    if to_print and done.value is not None:
        print(done.value)
        say(f"{plain(done.capability)} is provable; put this value where it stands. {asked}.")
    elif file is not None:
        print(f"{plain(done.capability)} is provable: its value stands in {plain(file)}. {asked}.")
    else:
        print(f"{plain(done.capability)} is provable no longer.")


def plants(reply: dict[str, Any], as_json: bool) -> None:
    """What can be proven, one line each."""
    if as_json:
        print_json(reply)
        return
    found = Plants.model_validate(reply)
    rows = [[p.capability, f"@{p.by}", p.at, "; ".join(filter(None, [p.read, p.where])) or "-"] for p in found.plants]
    _print_rows(rows)
    if not rows:
        print("Nothing is planted: teamroom plant CAPABILITY --file FILE")


def attested(reply: dict[str, Any], as_json: bool) -> None:
    """Who was vouched for."""
    if as_json:
        print_json(reply)
        return
    states = {c["capability"]: CapabilityShown.model_validate(c) for c in reply["states"]}
    for name in reply["capabilities"]:
        print(f"@{plain(str(reply['member']))}: {capability(states[name])}. Receipt {reply['receipt']}.")


def policy(reply: dict[str, Any], as_json: bool) -> None:
    """How the room runs: each value with where it comes from, and what makes the room deny."""
    if as_json:
        print_json(reply)
        return
    found = Policy.model_validate(reply)
    for name in found.unreadable:
        again = name if name in {line.name for line in found.values} else "trust"
        print(f"UNREADABLE: {plain(name)}. What needs the policy is refused until you set what it should be:")
        print(f"  teamroom policy {again} VALUE")
    by = {line.name: f"@{line.by} {line.at}" if line.by else "-" for line in found.values}
    _print_rows([[line.name, str(line.value), line.origin, by[line.name], line.about] for line in found.values])


def policy_set(reply: dict[str, Any], as_json: bool) -> None:
    """What holds from the next act on."""
    if as_json:
        print_json(reply)
        return
    done = PolicySet.model_validate({key: value for key, value in reply.items() if key in PolicySet.model_fields})
    note = f" ({plain(done.note)})" if done.note else ""
    receipt = f" Receipt {done.receipt}." if done.receipt is not None else ""
    print(f"{plain(done.name)} is {plain(str(done.value))} now, {plain(str(done.before))} before{note}.{receipt}")


def _print_rows(rows: list[list[str]]) -> None:
    """Rows as aligned lines; on a terminal the last column takes the width that is left."""
    out = console()
    cells = [[plain(cell) for cell in row] for row in rows]
    if out.is_terminal and cells:
        out.print(grid([[Text(cell) for cell in row] for row in cells], out, free=len(cells[0]) - 1))
        return
    for line in aligned(cells):
        print(line)
