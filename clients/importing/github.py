"""Issues of GitHub: what `gh issue list --json` prints, the lists of the REST API, and those of GraphQL."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from teamroom.clients.importing.item import Found, Item, comments, date_of, list_of, named, text_of
from teamroom.clients.importing.values import Value
from teamroom.clients.session.failure import USAGE, Failure

ISSUE_URL = re.compile(
    r"https?://(?P<host>[\w.:-]+)/(?P<repo>[\w.-]+/[\w.-]+)/(?P<kind>issues|pull|pulls)/(?P<number>\d+)"
)
REPOSITORY_URL = re.compile(r"https?://(?P<host>[\w.:-]+)/(?:api/v3/)?repos/(?P<repo>[\w.-]+/[\w.-]+)")

REFERENCE = r"(?:https?://[\w.:-]+/[\w.-]+/[\w.-]+/issues/\d+|(?:[\w.-]+/[\w.-]+)?#\d+)"
WAITS = re.compile(
    rf"(?<!\bnot )(?<!\blonger )\b(?:blocked by|depends on|waits for)\b[\s:*]*+"
    rf"(?P<all>{REFERENCE}(?:\s*+(?:,|&|and\b)?+\s*+{REFERENCE})*)",
    re.IGNORECASE,
)
TRACKED = re.compile(rf"^[ \t]*+(?:[-*+]|\d+[.)])\s+\[[ xX]\]\s+(?P<all>{REFERENCE})", re.MULTILINE)
"""An issue in a list of tasks, which GitHub tracks."""

NOT_SAID = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|<!--.*?(?:-->|\Z)|`[^`\n]*`|~~[^~\n]+~~|^[ \t]*+>[^\n]*",
    re.DOTALL | re.MULTILINE,
)
"""What a body does not say itself: code, comments, quotations, and what was struck out."""

PRIORITIES = {
    "critical": 2,
    "urgent": 2,
    "highest": 2,
    "high": 1,
    "medium": 0,
    "normal": 0,
    "low": -1,
    "lowest": -2,
    **{f"p{number}": 2 - number for number in range(5)},
}
LABEL = re.compile(r"(?:priority|prio)?[\s:/_-]*(?P<word>[a-z]+\d?)", re.IGNORECASE)

REASONS = {"not_planned": "Closed as not planned", "duplicate": "Closed as a duplicate"}

PULL_REQUESTS = "pull request"

WRAPPERS = ("items", "data", "repository", "organization", "search", "issues", "nodes", "edges", "node")
"""The fields that lead from an answer of the API to its issues."""

DEEPEST = 8
"""How deep in such fields issues are looked for."""


def read_github(values: Iterable[Value], source: str) -> Found:
    """The issues of an export. `source` replaces the name of their repository, which an export may not have.

    Raises Failure if the issues are of several repositories, and `source` names one.
    """
    found, more, repositories = Found(), dict[str, list[str]](), dict[str, None]()
    for value in values:
        if value.fault:
            found.broken.append(f"{value.where}: {value.fault}")
            continue
        for number, issue in enumerate(issues_in(value.value), 1):
            where = value.where if isinstance(value.value, dict) and "number" in value.value else f"issue {number}"
            _take(issue, where, repositories, found, more)
    for item in found.items:
        needs = dict.fromkeys([*item.needs, *more.get(item.external, ())])
        item.needs = [need for need in needs if need != item.external]
    if source and repositories:
        _rename(found, list(repositories), source)
    return found


def _rename(found: Found, repositories: list[str], source: str) -> None:
    """Give the issues of a repository another name of it. Raises Failure if they are of several."""
    if len(repositories) > 1:
        raise Failure(
            f"The issues are of {len(repositories)} repositories, which --source cannot replace.",
            "Leave --source out.",
            USAGE,
        )
    before, now = external_of(repositories[0], ""), external_of(source, "")
    for item in found.items:
        item.external = now + item.external.removeprefix(before)
        item.needs = [now + need.removeprefix(before) if need.startswith(before) else need for need in item.needs]


def issues_in(value: Any, depth: int = 0) -> Iterator[Any]:
    """The issues in a list or in an answer of the API; what is none of them is returned as it is."""
    if depth <= DEEPEST and isinstance(value, list):
        for one in value:
            yield from issues_in(one, depth + 1)
    elif depth <= DEEPEST and isinstance(value, Mapping) and "number" not in value:
        inner = [value[name] for name in WRAPPERS if isinstance(value.get(name), list | Mapping)]
        for one in inner:
            yield from issues_in(one, depth + 1)
        if not inner:
            yield value
    else:
        yield value


def _take(issue: Any, where: str, repositories: dict[str, None], found: Found, more: dict[str, list[str]]) -> None:
    """Add an issue and its repository. `more`: what other issues wait for."""
    number = issue.get("number") if isinstance(issue, Mapping) else None
    if not isinstance(number, int) or isinstance(number, bool):
        found.broken.append(f"{where}: it is not an issue with a number")
        return
    url = text_of(issue.get("html_url")) or text_of(issue.get("url"))
    seen = ISSUE_URL.match(url)
    if issue.get("pull_request") or issue.get("isPullRequest") or (seen is not None and seen["kind"] != "issues"):
        found.left_out[PULL_REQUESTS] += 1
        return
    repository = _repository(issue, seen)
    repositories[repository] = None
    item = _item(issue, repository, number, where)
    body = NOT_SAID.sub("", text_of(issue.get("body")))
    item.needs = [
        reference
        for match in (*WAITS.finditer(body), *TRACKED.finditer(body))
        for reference in _references(match["all"], repository)
    ]
    _native(issue, item, repository, more)
    found.items.append(item)


def external_of(repository: str, number: int | str) -> str:
    """The external id of an issue."""
    return f"github:{repository}#{number}"


def _repository(issue: Mapping[str, Any], seen: re.Match[str] | None) -> str:
    """The repository of an issue, with its host unless it is on github.com; "" if the export does not say."""
    seen = seen or REPOSITORY_URL.match(text_of(issue.get("repository_url")))
    if seen is None:
        repository = issue.get("repository")
        return named(repository, "nameWithOwner") or named(repository, "full_name")
    return seen["repo"] if seen["host"] in ("github.com", "api.github.com") else f"{seen['host']}/{seen['repo']}"


def _item(issue: Mapping[str, Any], repository: str, number: int, where: str) -> Item:
    closed = date_of(issue.get("closed_at") or issue.get("closedAt"))
    done = text_of(issue.get("state")).lower() == "closed" or issue.get("closed") is True
    labels = [name for label in list_of(issue.get("labels")) if (name := named(label, "name"))]
    milestone = issue.get("milestone")
    parts = [
        text_of(issue.get("body")).strip(),
        *comments(issue.get("comments"), "body"),
    ]
    reason = text_of(issue.get("state_reason") or issue.get("stateReason")).lower()
    due = (milestone.get("due_on") or milestone.get("dueOn")) if isinstance(milestone, Mapping) else None
    return Item(
        external=external_of(repository, number),
        label=f"#{number}",
        where=where,
        title=text_of(issue.get("title")),
        detail="\n\n".join(filter(None, parts)),
        priority=next((found for label in labels if (found := _priority(label)) is not None), 0),
        due=date_of(due),
        created_at=date_of(issue.get("created_at") or issue.get("createdAt")),
        done=done,
        closed_at=closed if done else None,
        summary=REASONS.get(reason, "") if done else "",
        end=_end(issue, f"{repository}#{number}", labels),
    )


def _priority(label: str) -> int | None:
    """The priority that a label names, such as `P1` or `priority: high`; None if it names none."""
    seen = LABEL.fullmatch(label.strip())
    return None if seen is None else PRIORITIES.get(seen["word"].lower())


def _end(issue: Mapping[str, Any], name: str, labels: list[str]) -> str:
    """What else an export says of an issue, in one line."""
    milestone = named(issue.get("milestone"), "title")
    people = [login for one in list_of(issue.get("assignees")) if (login := named(one, "login"))]
    author = named(issue.get("author") or issue.get("user"), "login")
    said = [
        f"by {author}" if author else "",
        f"assigned to {', '.join(people)}" if people else "",
        f"labels {', '.join(labels)}" if labels else "",
        f"milestone {milestone}" if milestone else "",
    ]
    return " ".join(f"On GitHub: {'; '.join([name, *filter(None, said)])}.".split())


def _native(issue: Mapping[str, Any], item: Item, repository: str, more: dict[str, list[str]]) -> None:
    """Note the relations that GitHub has itself: blocked by, blocking, parents and parts."""

    def named_in(*fields: str) -> list[str]:
        values = [value for name in fields for value in list_of(issue.get(name))]
        return [external for value in values if (external := _reference(value, repository)) is not None]

    item.needs += named_in("blockedBy", "blocked_by", "subIssues", "sub_issues")
    for other in named_in("blocking"):
        more.setdefault(other, []).append(item.external)
    parent = issue.get("parent") or issue.get("parent_issue_url")
    if (whole := _reference(parent, repository)) is not None:
        more.setdefault(whole, []).append(item.external)


def _reference(value: Any, repository: str) -> str | None:
    """The external id of an issue that another one names by an object, an address or a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return external_of(repository, value)
    url = text_of(value)
    if isinstance(value, Mapping):
        url = text_of(value.get("html_url")) or text_of(value.get("url"))
    if (seen := re.search(r"/(?:repos/)?(?P<repo>[\w.-]+/[\w.-]+)/issues/(?P<number>\d+)", url)) is not None:
        own = repository.endswith(seen["repo"])
        return external_of(repository if own else seen["repo"], seen["number"])
    number = value.get("number") if isinstance(value, Mapping) else None
    return external_of(repository, number) if isinstance(number, int) else None


def _references(text: str, repository: str) -> Iterator[str]:
    """The external ids of the issues that a text names."""
    for reference in re.findall(REFERENCE, text):
        other, _, number = reference.rpartition("#")
        if not number.isdigit():
            yield _reference(reference, repository) or ""
        else:
            yield external_of(other or repository, number)
