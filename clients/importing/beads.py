"""Tasks of beads: its JSONL exports of every release, and the JSON that `bd list --json` prints."""

from collections.abc import Iterable, Mapping
from typing import Any

from teamroom.clients.importing.item import Found, Item, comments, date_of, list_of, text_of
from teamroom.clients.importing.values import Value
from teamroom.server.rules.text import cite

TOMBSTONES = "deleted issue"

NO_WORK = frozenset({"message", "event", "agent", "role", "rig", "convoy", "slot", "gate", "molecule", "wisp"})
"""Types of records that are no tasks."""

FINISHED = frozenset({"closed", "done", "completed", "resolved"})
UNFINISHED = frozenset({"open", "in_progress", "in-progress", "blocked", "deferred", "hooked", "pinned"})

WAITS = frozenset({"", "blocks", "blocked-by", "depends-on", "conditional-blocks", "waits-for"})
"""Types of dependencies for which a task waits. Others are named in its text."""

TEXTS = (("description", ""), ("design", "Design"), ("acceptance_criteria", "Acceptance criteria"), ("notes", "Notes"))
"""The texts of an issue, each with its heading."""

DEFAULT, LOWEST = 2, -100
"""The priority of beads that is 0 here, and the priority of what was deferred there."""


def read_beads(values: Iterable[Value], source: str) -> Found:
    """The tasks of an export. `source` keeps apart exports that have the same ids."""
    found, children = Found(), dict[str, list[str]]()
    gone = set[str]()
    for value in values:
        if value.fault:
            found.broken.append(f"{value.where}: {value.fault}")
            continue
        issues = value.value if isinstance(value.value, list) else [value.value]
        for number, issue in enumerate(issues, 1):
            where = value.where if issues is not value.value else f"issue {number}"
            _take(issue, where, source, found, children, gone)
    _join(found, children, gone)
    return found


def _take(issue: Any, where: str, source: str, found: Found, children: dict[str, list[str]], gone: set[str]) -> None:
    if not isinstance(issue, Mapping):
        found.broken.append(f"{where}: it is not an issue")
        return
    if (kind := text_of(issue.get("_type"))) not in ("", "issue"):
        found.left_out[f"{cite(kind)} record"] += 1
        return
    id_ = text_of(issue.get("id")).strip()
    if not id_:
        found.broken.append(f"{where}: it has no id")
        return
    external = external_of(id_, source)
    if (why := _left_out(issue)) is not None:
        found.left_out[why] += 1
        gone.add(external)
        return
    item = _item(issue, external, id_, where)
    related = _depend(issue, item, source, found, children)
    item.end = _end(issue, id_, related)
    found.items.append(item)


def external_of(id_: str, source: str) -> str:
    """The external id of an issue."""
    return f"beads:{source}/{id_}" if source else f"beads:{id_}"


def _left_out(issue: Mapping[str, Any]) -> str | None:
    """The kind of an issue that is no task; None for a task."""
    if issue.get("status") == "tombstone" or issue.get("deleted_at"):
        return TOMBSTONES
    if issue.get("ephemeral") or issue.get("wisp"):
        return "ephemeral issue"
    if issue.get("is_template"):
        return "template"
    kind = text_of(issue.get("issue_type"))
    return f"{kind} issue" if kind in NO_WORK else None


def _item(issue: Mapping[str, Any], external: str, id_: str, where: str) -> Item:
    status = text_of(issue.get("status")) or "open"
    closed = date_of(issue.get("closed_at"))
    done = status in FINISHED or (closed is not None and status not in UNFINISHED)
    parts = [_part(issue.get(name), heading) for name, heading in TEXTS]
    parts += comments(issue.get("comments"), "text")
    return Item(
        external=external,
        label=id_,
        where=where,
        title=text_of(issue.get("title")),
        detail="\n\n".join(filter(None, parts)),
        priority=LOWEST if status == "deferred" else DEFAULT - _priority(issue.get("priority")),
        due=date_of(issue.get("due_at")),
        created_at=date_of(issue.get("created_at")),
        done=done,
        closed_at=closed if done else None,
        summary=text_of(issue.get("close_reason")) if done else "",
    )


def _part(value: Any, heading: str) -> str:
    text = text_of(value).strip("\n")
    return f"## {heading}\n\n{text}" if text and heading else text


def _priority(value: Any) -> int:
    """A priority from 0 (highest) to 4. Exports of early releases leave 0 out."""
    return min(max(value, 0), 4) if isinstance(value, int) else 0


def _depend(
    issue: Mapping[str, Any], item: Item, source: str, found: Found, children: dict[str, list[str]]
) -> list[str]:
    """Note what an issue waits for, and which issue it is a part of; returns what it is related to in another way."""
    related = []
    if parent := text_of(issue.get("parent")):
        children.setdefault(external_of(parent, source), []).append(item.external)
    for given in list_of(issue.get("dependencies")):
        entry = {"depends_on_id": given} if isinstance(given, str) else given
        if not isinstance(entry, Mapping):
            found.in_part.append(f"{item.name}: one of its dependencies cannot be read")
            continue
        kind = text_of(entry.get("type") or entry.get("dependency_type"))
        id_ = text_of(entry.get("depends_on_id") or entry.get("id")).strip()
        other = external_of(id_, source)
        if not id_:
            found.in_part.append(f"{item.name}: one of its dependencies names no issue")
        elif kind == "parent-child":
            children.setdefault(other, []).append(item.external)
        elif kind in WAITS:
            item.needs.append(other)
        else:
            related.append(f"{id_} ({kind})")
    return related


def _end(issue: Mapping[str, Any], id_: str, related: list[str]) -> str:
    """What else an export says of an issue, in one line."""
    status = text_of(issue.get("status"))
    labels = [text for label in list_of(issue.get("labels")) if (text := text_of(label))]
    said = [
        text_of(issue.get("issue_type")),
        status.replace("_", " ") if status not in ("", "open", "closed") else "",
        f"assigned to {who}" if (who := text_of(issue.get("assignee"))) else "",
        f"labels {', '.join(labels)}" if labels else "",
        f"see {ref}" if (ref := text_of(issue.get("external_ref"))) else "",
        f"related to {', '.join(related)}" if related else "",
    ]
    return " ".join(f"In beads: {'; '.join([id_, *filter(None, said)])}.".split())


def _join(found: Found, children: dict[str, list[str]], gone: set[str]) -> None:
    """Make each epic wait for its parts, and nothing wait for what was deleted."""
    for item in found.items:
        needs = dict.fromkeys([*item.needs, *children.get(item.external, ())])
        item.needs = [need for need in needs if need not in gone and need != item.external]
