"""The two pictures of `docs/how-it-works.md`: the packages with their arrows, and the path of one act.

The arrows are read off the imports. The steps are a list here; a test plays the act and finds each step, in this order.
`python -m tests.support.generated` writes both pictures into the page.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import CodeType, FunctionType

import grimp

ROOT_PACKAGE = "teamroom"
COMPOSER = "app"
"""The one module at the root of `server/` that is drawn: it composes the packages."""

Arrows = frozenset[tuple[str, str]]


# ------------------------------------------------------------------ the packages


@cache
def graph() -> grimp.ImportGraph:
    """Which module imports which."""
    return grimp.build_graph(ROOT_PACKAGE, cache_dir=None)


def package_of(module: str) -> str | None:
    """The package that a module is drawn as; None for the modules at the root, which every package may import."""
    _, *names = module.split(".")
    if names and names[0] != "server":
        return names[0] if _is_package(names[0]) else None
    if len(names) < 2:
        return None
    return names[1] if _is_package(f"server.{names[1]}") or names[1] == COMPOSER else None


def noun_of(module: str) -> str | None:
    """The noun that a module of `server/acts` belongs to; None for the modules that all nouns share."""
    prefix = f"{ROOT_PACKAGE}.server.acts."
    noun = module.removeprefix(prefix).split(".")[0] if module.startswith(prefix) else ""
    return noun if noun and _is_package(f"server.acts.{noun}") else None


def package_arrows() -> Arrows:
    """The arrows between packages: a module of the first imports a module of the second."""
    return _arrows(package_of)


def noun_arrows() -> Arrows:
    """The same between the nouns of `acts`."""
    return _arrows(noun_of)


def without_detours(arrows: Arrows) -> Arrows:
    """The arrows that no longer path of the others replaces: few enough to read. The arrows must make no circle."""
    targets: dict[str, set[str]] = {}
    for one, other in arrows:
        targets.setdefault(one, set()).add(other)

    @cache
    def reached(name: str) -> frozenset[str]:
        nearest = targets.get(name, set())
        return frozenset(nearest).union(*(reached(other) for other in nearest))

    return frozenset((one, other) for one, other in arrows if all(other not in reached(via) for via in targets[one]))


def root_modules() -> list[str]:
    """The modules at the root of `server/` that are not drawn."""
    children = graph().find_children(f"{ROOT_PACKAGE}.server")
    return sorted(module.rsplit(".", 1)[1] for module in children if package_of(module) is None)


def draw_packages() -> str:
    """The first picture. `acts` is drawn as a box around its nouns; an arrow to or from a noun alone is not drawn.

    Nor is an import that a longer path of arrows shows as well: with all of them, nobody could follow a line.
    """
    nouns = sorted({noun for module in graph().modules if (noun := noun_of(module))})
    lines = ["flowchart TD", "    subgraph acts", "        direction TB"]
    lines += [f"        acts_{noun}[{noun}]" for noun in nouns]
    lines += [f"        {line}" for line in _lines(without_detours(noun_arrows()), "acts_{}".format)]
    lines += ["    end", *(f"    {line}" for line in _lines(without_detours(package_arrows()), str))]
    shared = ", ".join(f"`{name}`" for name in root_modules())
    below = (
        "An arrow means: imports. The picture leaves out each import that a longer path of arrows also shows.",
        f"Every package may also import the modules at the root of `server/`: {shared}.",
    )
    return "\n".join(["```mermaid", *lines, "```", "", *below, ""])


def _is_package(name: str) -> bool:
    return bool(graph().find_children(f"{ROOT_PACKAGE}.{name}"))


def _arrows(name_of: Callable[[str], str | None]) -> Arrows:
    found = set()
    for importer in graph().modules:
        for imported in graph().find_modules_directly_imported_by(importer):
            one, other = name_of(importer), name_of(imported)
            if one and other and one != other:
                found.add((one, other))
    return frozenset(found)


def _lines(arrows: Arrows, id_of: Callable[[str], str]) -> list[str]:
    """One line for each package that has arrows, with all of its targets."""
    targets: dict[str, list[str]] = {}
    for one, other in sorted(arrows):
        targets.setdefault(one, []).append(other)
    return [f"{id_of(one)} --> {' & '.join(map(id_of, others))}" for one, others in targets.items()]


# ------------------------------------------------------------------ the path of one act


@dataclass(frozen=True)
class Step:
    """One step of an act: the function that takes it, or the class whose objects are called, and what it does."""

    name: str
    does: str


STEPS = (
    Step("server.http.gate.Gate", "checks Host, Origin, size and depth"),
    Step("server.door.door.Door.identify", "finds the caller by the hash of the token"),
    Step("server.http.transports.Transports", "gives the request to the MCP SDK"),
    Step("tools.serve.ToolServer.call", "validates the arguments"),
    Step("server.door.door.Door.act", "makes the act one function of one transaction"),
    Step("server.store.writer.Writer.run", "queues it for the writer's thread"),
    Step("server.facts.standing.require_active", "decides whether the caller may act now"),
    Step("server.acts.messages.messages.post_message", "carries out the act"),
    Step("server.record.chain.append", "appends the receipt to the log"),
    Step("server.store.sqlite.commit.Committer.commit", "commits a batch of acts with one sync"),
    Step("server.wake.bus.Bus.nudge", "nudges the listeners of the members that were woken"),
    Step("tools.messages.render_posted", "puts the reply into words"),
)
"""The path of `post_message` with an addressee, from the wire to the reply."""


def draw_steps() -> str:
    """The second picture. Mermaid reads labels as Markdown: no number with a dot, no double underscore."""
    lines = ["flowchart TD", '    step0(["request"])']
    for number, step in enumerate(STEPS, 1):
        lines.append(f'    step{number - 1} --> step{number}["{step.name}<br/>{step.does}"]')
    return "\n".join(["```mermaid", *lines, f'    step{len(STEPS)} --> reply(["reply"])', "```", ""])


def code_of(name: str) -> CodeType:
    """The code behind a step. Raises AttributeError or ModuleNotFoundError when there is no such function."""
    parts = f"{ROOT_PACKAGE}.{name}".split(".")
    for length in range(len(parts) - 1, 0, -1):
        if ".".join(parts[:length]) in graph().modules:
            found = import_module(".".join(parts[:length]))
            for part in parts[length:]:
                found = getattr(found, part)
            function = found.__call__ if isinstance(found, type) else found
            assert isinstance(function, FunctionType), f"{name} is not a function"
            return function.__code__
    raise ModuleNotFoundError(name)
