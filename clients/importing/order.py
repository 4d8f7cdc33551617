"""The order in which tasks are imported: each after those that it depends on, otherwise as in the file."""

from teamroom.clients.importing.item import Found, Item


def put_in_order(found: Found) -> None:
    """Order the tasks by their dependencies. Of a circle, the dependency that closes it is left out and named."""
    by_id = {item.external: item for item in found.items}
    ordered = dict[str, Item]()
    for first in found.items:
        if first.external not in ordered:
            _visit(first, by_id, ordered, found)
    found.items = list(ordered.values())


def _visit(first: Item, by_id: dict[str, Item], ordered: dict[str, Item], found: Found) -> None:
    """Add a task and all that it depends on to the order, depth first and without recursion."""
    path = [first]
    places = {first.external: 0}
    following = [iter(list(first.needs))]
    while path:
        item, need = path[-1], next(following[-1], None)
        if need is None:
            ordered[item.external] = item
            del places[path.pop().external], following[-1]
        elif need in places:
            item.needs.remove(need)
            found.in_part.append(f"{item.name}: {_closes(path, places[need])}")
        elif need in by_id and need not in ordered:
            places[need] = len(path)
            path.append(by_id[need])
            following.append(iter(list(by_id[need].needs)))


LONGEST_CIRCLE = 6
"""How many tasks of a circle are named."""


def _closes(path: list[Item], place: int) -> str:
    """Which dependency of the last task on a path is left out, and why: it leads back to a place on the path."""
    circle = [item.name for item in path[place : place + LONGEST_CIRCLE]]
    if len(path) - place > LONGEST_CIRCLE:
        circle.append("…")
    circle.append(path[place].name)
    return f"it does not wait for {path[place].name}, because they wait for each other: {' → '.join(circle)}"
