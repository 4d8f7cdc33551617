"""`teamroom import`: real exports of beads, GitHub and Markdown, once and again, whole and broken."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from teamroom.clients.importing import item
from teamroom.clients.importing.read import FILE_BYTES, read_file
from teamroom.clients.importing.send import GO_ON, send
from teamroom.clients.session.blocking import BlockingRoom
from teamroom.clients.session.failure import PAUSED, USAGE, Failure
from teamroom.server.acts import act
from teamroom.server.acts.tasks import dependencies
from tests.support.promises import promise
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import Shell

pytestmark = promise("LOG4", "TSK4", "SAF3")


@pytest.fixture
def shell(room: RunningRoom) -> Shell:
    """The owner's shell next to a room in this process."""
    return shell_of(room)


def shell_of(room: RunningRoom) -> Shell:
    return Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], Path]:
    """Writes a file: a text, bytes, or the lines of a JSONL export."""

    def write(name: str, content: Any) -> Path:
        file = tmp_path / name
        if isinstance(content, list):
            content = "".join(f"{json.dumps(issue)}\n" for issue in content)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


Write = Callable[[str, Any], Path]


async def board(room: RunningRoom) -> dict[str, dict[str, Any]]:
    """Every task in full, by its external id."""
    owner = await room.owner()
    found = (await owner("read_board", state="all"))["tasks"]
    tasks = [(await owner("read_board", task=line["task"]))["task"] for line in found]
    return {task["external"]: task for task in tasks}


def waits(tasks: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The external ids of what each task depends on, where it depends on any."""
    names = {task["task"]: external for external, task in tasks.items()}
    found = {external: sorted(names[d["task"]] for d in task["depends_on"]) for external, task in tasks.items()}
    return {external: needs for external, needs in found.items() if needs}


async def imported(shell: Shell, *words: str, code: int = 0) -> dict[str, Any]:
    """What an import says for programs."""
    done = await shell.here("import", *words, "--json")
    assert done.code == code, done
    return dict(done.json)


def counts(said: dict[str, Any]) -> tuple[int, int, int, int]:
    return said["created"], said["changed"], said["unchanged"], len(said["kept"])


# ------------------------------------------------------------------ beads


def bead(id_: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "title": f"Task {id_}", "status": "open", "priority": 2, "issue_type": "task", **more}


def on(id_: str, other: str, kind: str = "blocks") -> dict[str, str]:
    return {"issue_id": id_, "depends_on_id": other, "type": kind, "created_at": "2025-12-18T02:02:00-08:00"}


BEADS = [
    bead("bd-2oo.1", dependencies=[on("bd-2oo.1", "bd-2oo", "parent-child"), on("bd-2oo.1", "bd-7")], priority=1),
    bead("bd-2oo", issue_type="epic", description="All of it", design="In two steps", notes="soon", labels=["big"]),
    {"id": "bd-7", "title": "An export of an early release", "status": "closed", "issue_type": "bug",
     "created_at": "2025-10-29T23:05:13.980679-07:00", "closed_at": "2025-12-17T22:58:34.562008123Z",
     "close_reason": "Fixed in 0.30", "comments": [{"author": "ann", "text": "seen", "created_at": "2025-12-01"}]},
    bead("bd-8", status="tombstone", deleted_at="2025-12-17T16:11:17-08:00"),
    bead("bd-9", status="in_progress", assignee="ann", external_ref="gh-9",
         dependencies=[on("bd-9", "bd-7", "discovered-from"), on("bd-9", "bd-8"), on("bd-9", "bd-99")]),
    bead("bd-10", status="deferred", due_at="2030-01-01T00:00:00Z", dependencies=None, assignee=None, notes=""),
    bead("bd-11", dependencies=["bd-10", {"id": "bd-9", "dependency_type": "blocks"}]),
    bead("bd-12", issue_type="message"),
    {"_type": "memory", "key": "k", "value": "v"},
]  # fmt: skip


async def test_an_export_of_beads_keeps_dates_dependencies_and_texts(
    room: RunningRoom, shell: Shell, write: Write
) -> None:
    said = await imported(shell, str(write("issues.jsonl", BEADS)))
    assert (said["format"], counts(said), said["not_imported"]) == ("beads", (6, 0, 0, 0), [])
    assert said["left_out"] == {"deleted issue": 1, "memory record": 1, "message issue": 1}
    assert said["in_part"] == ["bd-9: it waits for beads:bd-99, which is neither in the file nor here"]
    tasks = await board(room)
    assert waits(tasks) == {
        "beads:bd-2oo.1": ["beads:bd-7"],
        "beads:bd-2oo": ["beads:bd-2oo.1"],
        "beads:bd-11": ["beads:bd-10", "beads:bd-9"],
    }
    closed = tasks["beads:bd-7"]
    assert (closed["state"], closed["completed_by"], closed["summary"]) == ("done", "import", "Fixed in 0.30")
    assert (closed["created_at"], closed["completed_at"]) == ("2025-10-30T06:05:13Z", "2025-12-17T22:58:34Z")
    assert closed["detail"] == "Comment by ann on 2025-12-01:\nseen\n\nIn beads: bd-7; bug."
    text = "All of it\n\n## Design\n\nIn two steps\n\n## Notes\n\nsoon\n\nIn beads: bd-2oo; epic; labels big."
    assert tasks["beads:bd-2oo"]["detail"] == text
    work = "In beads: bd-9; task; in progress; assigned to ann; see gh-9; related to bd-7 (discovered-from)."
    assert tasks["beads:bd-9"]["detail"] == work
    priorities = {external: task["priority"] for external, task in tasks.items()}
    assert [priorities[f"beads:{id_}"] for id_ in ("bd-7", "bd-2oo.1", "bd-9", "bd-10")] == [2, 1, 0, -100]
    assert tasks["beads:bd-10"]["due"] == "2030-01-01T00:00:00Z"
    elsewhere = await imported(shell, str(write("issues.jsonl", BEADS)), "--source", "other")
    assert counts(elsewhere) == (6, 0, 0, 0)


async def test_a_second_import_changes_only_what_nobody_has_changed_here(
    room: RunningRoom, shell: Shell, write: Write
) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    names = ("title", "closed", "reopened", "waits", "ours", "claimed", "same")
    issues = {name: bead(f"bd-{name}", title=name) for name in names}
    issues["reopened"] |= {"status": "closed", "closed_at": "2025-01-01T00:00:00Z"}
    file = write("issues.jsonl", list(issues.values()))
    assert counts(await imported(shell, str(file))) == (7, 0, 0, 0)
    before = len(room.entries())
    assert counts(await imported(shell, str(file))) == (0, 0, 7, 0)
    assert len(room.entries()) == before, "what is as it was leaves no receipt"

    tasks = await board(room)
    await owner("update_task", task=tasks["beads:bd-ours"]["task"], changes={"detail": "what we found"})
    await builder("claim_task", task=tasks["beads:bd-claimed"]["task"])
    issues["title"] |= {"title": "another title"}
    issues["closed"] |= {"status": "closed", "closed_at": "2025-12-17T22:58:34Z"}
    issues["reopened"] |= {"status": "open", "closed_at": None}
    issues["waits"] |= {"dependencies": [on("bd-waits", "bd-new")]}
    issues["ours"] |= {"title": "their title"}
    issues["claimed"] |= {"status": "closed", "closed_at": "2025-12-17T22:58:34Z"}
    issues["new"] = bead("bd-new")
    done = await shell.here("import", str(write("issues.jsonl", list(issues.values()))))
    assert done.code == 0
    assert done.out == (
        "issues.jsonl (beads): 1 created, 4 changed, 1 unchanged, 2 kept as they are here.\n\n"
        "Somebody changed these tasks here, so they stay as they are:\n"
        f"  {tasks['beads:bd-ours']['task']} “their title” differs in title, detail\n"
        f"  {tasks['beads:bd-claimed']['task']} “claimed” differs in state\n"
    )
    after = await board(room)
    assert {name: (after[f"beads:bd-{name}"]["title"], after[f"beads:bd-{name}"]["state"]) for name in names} == {
        "title": ("another title", "open"),
        "closed": ("closed", "done"),
        "reopened": ("reopened", "open"),
        "waits": ("waits", "open"),
        "ours": ("ours", "open"),
        "claimed": ("claimed", "claimed"),
        "same": ("same", "open"),
    }
    assert waits(after) == {"beads:bd-waits": ["beads:bd-new"]}


async def test_circles_and_repeated_issues_are_named_and_the_tasks_imported(
    room: RunningRoom, shell: Shell, write: Write
) -> None:
    issues = [
        bead("bd-1", dependencies=[on("bd-1", "bd-2"), on("bd-1", "bd-1")]),
        bead("bd-2", dependencies=[on("bd-2", "bd-3")]),
        bead("bd-3", dependencies=[on("bd-3", "bd-1")]),
        bead("bd-4", title="first"),
        bead("bd-4", title="second"),
        bead("bd-5", dependencies=[on("bd-5", f"bd-{number}") for number in range(100, 160)]),
    ]
    said = await imported(shell, str(write("issues.jsonl", issues)))
    assert counts(said) == (5, 0, 0, 0)
    assert said["in_part"][:3] == [
        "bd-4: it is there twice; line 5 counts, and line 4 does not",
        "bd-5: it depends on 60 tasks; only 50 of them are taken",
        "bd-3: it does not wait for bd-1, because they wait for each other: bd-1 → bd-2 → bd-3 → bd-1",
    ]
    tasks = await board(room)
    assert waits(tasks) == {"beads:bd-1": ["beads:bd-2"], "beads:bd-2": ["beads:bd-3"]}
    assert tasks["beads:bd-4"]["title"] == "second"
    assert counts(await imported(shell, str(write("issues.jsonl", issues)))) == (0, 0, 5, 0)


async def test_a_dependency_that_the_room_cannot_take_leaves_the_task_and_is_named(
    room: RunningRoom, shell: Shell, write: Write
) -> None:
    owner = await room.owner()
    await imported(shell, str(write("issues.jsonl", [bead("bd-1"), bead("bd-2")])))
    await owner("update_task", task="T-1", changes={"depends_on": ["T-2"]})
    issues = [bead("bd-1"), bead("bd-2", title="another", dependencies=[on("bd-2", "bd-1")])]
    said = await imported(shell, str(write("issues.jsonl", issues)))
    assert counts(said) == (0, 1, 0, 1)
    assert said["in_part"] == ["bd-2: its dependencies are not imported. T-2 and T-1 would wait for each other."]
    assert (await board(room))["beads:bd-2"]["title"] == "another"


# ------------------------------------------------------------------ what is broken


LINES = b"\n".join(
    (
        b'{"id": "bd-1", "title": "one", "status": "open"}',
        b"<<<<<<< HEAD",
        b'{"id": "bd-2", "title": "tw',
        b"",
        b'{"id": "bd-3"}',
        b'{"title": "no id"}',
        b'{"id": "bd-4", "title": "\xff"}',
        b"[" * 100_000,
        b"17",
        b'{"id": "bd-5", "title": "\\u001b[31mred\\u001b[0m \\ud83d", "description": "line\\u2028end"}',
        '{"id": "bd-6", "title": "line\u2028separator"}'.encode(),
        b'{"id": "bd-7", "title": "\\u200b"}',
        b"\0" * 20,
    )
)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
async def test_broken_lines_are_named_and_the_others_imported(
    room: RunningRoom, shell: Shell, write: Write, end: bytes
) -> None:
    file = write("issues.jsonl", b"\xef\xbb\xbf" + LINES.replace(b"\n", end))
    said = await imported(shell, str(file), code=1)
    assert counts(said) == (3, 0, 0, 0)
    assert [line.partition(":")[0] for line in said["not_imported"]] == [
        *("line 2", "line 3", "line 6", "line 7", "line 8", "line 9", "line 13", "line 5", "line 12"),
    ]
    assert said["not_imported"][0] == "line 2: it is left from a merge with conflicts"
    assert {"line 7: it is not UTF-8", "line 5: it has no title"} <= set(said["not_imported"])
    assert said["removed"]["escape sequence"] == 2
    titles = {external: task["title"] for external, task in (await board(room)).items()}
    assert titles == {"beads:bd-1": "one", "beads:bd-5": "red", "beads:bd-6": "line separator"}


REFUSED_FILES: dict[str, tuple[str, bytes]] = {
    "is not there": ("", b""),
    "cannot be read as JSON: Expecting ',' delimiter at line 2, column 1": ("a.json", b'[{"number": 1}\n'),
    "cannot be read as JSON: line 2 is not UTF-8": ("a.json", b'[\n"\xff"]'),
    "neither an export of beads nor issues of GitHub": ("a.json", b'[{"name": "x"}]'),
    "is not a text file": ("a.jsonl", b"PK\x03\x04\0\0"),
    "begins as UTF-16, and is not": ("a.md", b"\xff\xfe- [ ] x"),
    "begins with a value that is nested": ("a.json", b"[" * 100_000),
}


@pytest.mark.parametrize("why", REFUSED_FILES)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(tmp_path: Path, write: Write, why: str) -> None:
    name, content = REFUSED_FILES[why]
    file = write(name, content) if name else tmp_path / "nothing.json"
    done = Shell(tmp_path).now("import", str(file), "--url", "http://127.0.0.1:9")
    assert done.code == USAGE
    words = {"is not there": "cannot be read: No such file", "begins with a value that is nested": "nested too deeply"}
    assert words.get(why, why) in done.err
    assert "Fix: " in done.err


def test_a_file_and_a_number_of_tasks_that_are_too_large_are_refused(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "large.md"
    with file.open("wb") as large:
        large.truncate(FILE_BYTES + 1)
    with pytest.raises(Failure, match="larger than 100 MB"):
        read_file(file, None, "")
    monkeypatch.setattr("teamroom.clients.importing.read.TASKS", 2)
    with pytest.raises(Failure, match="at most 2 are imported"):
        read_file(write("a.md", "- [ ] a\n- [ ] b\n- [ ] c\n"), None, "")


@pytest.mark.parametrize(("name", "content"), [("a.jsonl", ""), ("a.json", "[]"), ("a.md", "# Notes\n\nNo tasks.\n")])
async def test_a_file_without_tasks_is_no_failure(
    room: RunningRoom, shell: Shell, write: Write, name: str, content: str
) -> None:
    done = await shell.here("import", str(write(name, content)))
    assert (done.code, done.out.startswith(f"{name} has no tasks (")) == (0, True)


async def test_long_texts_are_cut_and_named_and_a_token_is_not_imported(
    room: RunningRoom, shell: Shell, write: Write
) -> None:
    issues = [
        bead("bd-1", title="t" * 500, description="d" * 20_000, close_reason="r" * 20_000, status="closed"),
        bead("bd-2", description=f"my token is {room.owner_token}"),
        bead("x" * 300),
    ]
    said = await imported(shell, str(write("issues.jsonl", issues)), code=1)
    assert counts(said) == (1, 0, 0, 0)
    assert said["in_part"][0] == "bd-1: its title is cut; its text begins with the whole title"
    assert said["in_part"][1].startswith("bd-1: its text is cut; 4,5")
    assert said["not_imported"][0].startswith("line 3: its id has more than 200 characters")
    assert "bd-2: detail: contains a token of this room" in said["not_imported"][1]
    task = (await board(room))["beads:bd-1"]
    assert (len(task["title"]), len(task["detail"]), len(task["summary"])) == (200, 16_000, 16_000)
    assert task["detail"].endswith("d…\n\nIn beads: bd-1; task.")
    assert counts(await imported(shell, str(write("issues.jsonl", issues[:1])))) == (0, 0, 1, 0)


def test_the_clients_limits_are_the_rooms() -> None:
    assert item.NEEDS == dependencies.DEPENDENCIES
    kinds = {"title": act.Words, "external": act.External}
    found = {name: max(getattr(part, "max_length", 0) or 0 for part in _parts(kind)) for name, kind in kinds.items()}
    assert found == {"title": item.TITLE_CHARACTERS, "external": item.EXTERNAL_CHARACTERS}


def _parts(kind: Any) -> Iterator[Any]:
    for part in kind.__metadata__:
        yield from getattr(part, "metadata", ())


# ------------------------------------------------------------------ GitHub

URL = "https://github.com/acme/api"

NAMES_OTHERS = f"Blocked by #13, #14 and other/repo#5.\n\n- [ ] #15\n- [x] {URL}/issues/16"
NAMES_NONE = "> Blocked by #15\n\n`blocked by #15`\n```\nblocked by #15\n```\nnot blocked by #15"

GH = [
    {"number": 12, "title": "Log in", "body": NAMES_OTHERS,
     "state": "OPEN", "labels": [{"name": "bug"}, {"name": "P1"}], "createdAt": "2025-01-01T00:00:00Z",
     "closedAt": None, "url": f"{URL}/issues/12", "milestone": {"title": "v1", "dueOn": "2030-01-01T00:00:00Z"},
     "author": {"login": "ann"}, "assignees": [{"login": "bob"}],
     "comments": [{"author": {"login": "cat"}, "body": "@builder please", "createdAt": "2025-02-01T00:00:00Z"}]},
    {"number": 13, "title": "Old", "body": None, "state": "CLOSED", "stateReason": "NOT_PLANNED",
     "closedAt": "2025-03-01T00:00:00Z", "url": f"{URL}/issues/13", "labels": []},
    {"number": 14, "title": "Quoted", "body": NAMES_NONE,
     "state": "OPEN", "url": f"{URL}/issues/14", "parent": {"number": 12, "url": f"{URL}/issues/12"}},
    {"number": 15, "title": "Native", "state": "OPEN", "url": f"{URL}/issues/15",
     "blockedBy": {"nodes": [{"number": 16}], "totalCount": 1}, "subIssues": [{"number": 13}], "body": ""},
    {"number": 16, "title": "Blocking", "state": "OPEN", "url": f"{URL}/issues/16", "blocking": [{"number": 13}]},
    {"number": 17, "title": "A change", "state": "OPEN", "url": f"{URL}/pull/17"},
]  # fmt: skip

REST = [
    {"id": 9000 + issue["number"], "number": issue["number"], "title": issue["title"], "body": issue.get("body"),  # type: ignore[operator]
     "state": str(issue["state"]).lower(), "state_reason": "not_planned", "closed_at": issue.get("closedAt"),
     "created_at": issue.get("createdAt"), "html_url": issue["url"], "comments": 3, "user": {"login": "ann"},
     "labels": issue.get("labels", []), "repository_url": "https://api.github.com/repos/acme/api",
     **({"pull_request": {"url": "x"}} if issue["number"] == 17 else {})}
    for issue in GH
]  # fmt: skip

GRAPHQL = {"data": {"repository": {"issues": {"nodes": GH[:5]}}}}

FORMS: dict[str, str] = {
    "gh": json.dumps(GH, indent=2),
    "REST": json.dumps(REST),
    "pages": "\n".join(json.dumps(page) for page in (REST[:3], REST[3:])),
    "slurped": json.dumps([REST[:3], REST[3:]]),
    "lines": "".join(json.dumps(issue) + "\n" for issue in REST),
    "search": json.dumps({"total_count": 6, "items": REST}),
    "GraphQL": json.dumps(GRAPHQL),
}


@pytest.mark.parametrize("form", FORMS)
def test_issues_of_github_are_read_in_every_form_that_it_prints(write: Write, form: str) -> None:
    name, found = read_file(write("issues.json", FORMS[form]), None, "")
    assert (name, found.broken, found.left_out["pull request"]) == ("github", [], form != "GraphQL")
    needs = {one.label: sorted(one.needs) for one in found.items}
    assert [one.external for one in found.items if one.label == "#12"] == ["github:acme/api#12"]
    assert {"github:acme/api#13", "github:acme/api#15", "github:acme/api#16", "github:other/repo#5"} <= set(
        needs["#12"]
    )
    assert set(needs["#14"]) == set()
    closed = [(one.label, one.done, one.closed_at, one.summary) for one in found.items if one.done]
    assert closed == [("#13", True, 1_740_787_200.0, "Closed as not planned")]


async def test_issues_of_github_are_imported_with_what_they_wait_for(
    room: RunningRoom, shell: Shell, write: Write
) -> None:
    await room.enroll("builder")
    file = str(write("issues.json", FORMS["gh"]))
    said = await imported(shell, file)
    assert counts(said) == (5, 0, 0, 0)
    assert said["left_out"] == {"pull request": 1}
    assert said["in_part"] == ["#12: it waits for github:other/repo#5, which is neither in the file nor here"]
    tasks = await board(room)
    found = {one[15:]: [other[15:] for other in needs] for one, needs in waits(tasks).items()}
    assert found == {"#12": ["#13", "#14", "#15", "#16"], "#13": ["#16"], "#15": ["#13", "#16"]}
    task = tasks["github:acme/api#12"]
    assert (task["priority"], task["due"], task["created_at"]) == (1, "2030-01-01T00:00:00Z", "2025-01-01T00:00:00Z")
    end = "On GitHub: acme/api#12; by ann; assigned to bob; labels bug, P1; milestone v1."
    assert task["detail"].endswith(f"Comment by cat on 2025-02-01:\n@builder please\n\n{end}")
    assert not [entry for entry in room.entries() if entry["act"] == "post_message"]
    assert counts(await imported(shell, file)) == (0, 0, 5, 0)


def test_a_source_replaces_the_name_of_one_repository_and_is_needed_where_there_is_none(write: Write) -> None:
    bare = [{"number": 1, "title": "a", "body": "Depends on: #2"}, {"number": 2, "title": "b"}]
    for source, first in (("", "github:#"), ("new/name", "github:new/name#")):
        _, found = read_file(write("issues.json", json.dumps(bare)), None, source)
        assert [(one.external, one.needs) for one in found.items] == [(f"{first}2", []), (f"{first}1", [f"{first}2"])]
    _, found = read_file(write("issues.json", FORMS["gh"]), None, "new/name")
    assert {one.external.partition("#")[0] for one in found.items} == {"github:new/name"}
    two = write("two.json", json.dumps([*GH, {"number": 1, "title": "x", "url": "https://ghe.acme.com/a/b/issues/1"}]))
    assert "github:ghe.acme.com/a/b#1" in {one.external for one in read_file(two, None, "")[1].items}
    with pytest.raises(Failure, match="of 2 repositories"):
        read_file(two, None, "new/name")


# ------------------------------------------------------------------ Markdown

LIST = """\
# Release 2.0

Some words. - [ ] not a task

- [ ] Ship it \N{HEAVY PLUS SIGN} 2025-01-01
  First the parts, then the whole.

  ```
  - [ ] not a task, but text of "Ship it"
  ```
  - [x] Write the notes \N{WHITE HEAVY CHECK MARK} 2025-02-03
  * [ ] Tag it
\t1. [X] Choose the name
\t   because of the registry
- Backend
  - [-] Port to SQLite
  + [/] Measure it

## Later
<!-- - [ ] hidden -->
<!--
- [ ] hidden too
-->
```md
- [ ] code
```
1) [ ] Tag it
- [ ]
- [a](b) no task
"""


async def test_task_lists_are_imported_with_their_nesting(room: RunningRoom, shell: Shell, write: Write) -> None:
    said = await imported(shell, str(write("TODO.md", LIST)), code=1)
    assert (said["format"], counts(said)) == ("markdown", (7, 0, 0, 0))
    assert said["not_imported"] == [f"line {LIST.splitlines().index('- [ ]') + 1}: the task has no text"]
    tasks = list((await board(room)).values())
    titles = {task["task"]: task["title"] for task in tasks}
    assert sorted(titles.values()) == [
        *("Choose the name", "Measure it", "Port to SQLite", "Ship it", "Tag it", "Tag it", "Write the notes"),
    ]
    found = {task["title"]: [titles[d["task"]] for d in task["depends_on"]] for task in tasks if task["depends_on"]}
    assert found == {"Ship it": ["Write the notes", "Tag it"], "Tag it": ["Choose the name"]}
    by_title = {task["title"]: task for task in tasks}
    ship, notes = by_title["Ship it"], by_title["Write the notes"]
    assert ship["created_at"] == "2025-01-01T00:00:00Z"
    assert ship["detail"] == (
        'First the parts, then the whole.\n\n```\n- [ ] not a task, but text of "Ship it"\n```\n\n'
        "From TODO.md, under Release 2.0."
    )
    assert (notes["state"], notes["completed_by"], notes["completed_at"]) == ("done", "import", "2025-02-03T00:00:00Z")
    assert "because of the registry" in by_title["Choose the name"]["detail"]
    assert (by_title["Port to SQLite"]["state"], by_title["Port to SQLite"]["summary"]) == ("done", "Cancelled")
    assert by_title["Measure it"]["state"] == "open"


async def test_a_task_of_a_list_is_recognised_where_it_moves_and_when_it_is_done(
    room: RunningRoom, shell: Shell, write: Write
) -> None:
    first = "## To do\n- [ ] one\n- [ ] two\n- [ ] two\n- [ ] all\n  - [ ] one\n## Done\n"
    assert counts(await imported(shell, str(write("TODO.md", first)))) == (5, 0, 0, 0)
    then = "## To do\n* [ ] two\n* [ ] all\n\t* [ ] one\n* [ ] two\n* [ ] new\n## Done\n* [x] one ✅ 2025-02-03\n"
    assert counts(await imported(shell, str(write("TODO.md", then)))) == (1, 1, 4, 0)
    done = [task for task in (await board(room)).values() if task["state"] == "done"]
    assert [(task["title"], task["completed_at"]) for task in done] == [("one", "2025-02-03T00:00:00Z")]


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_list_is_the_same_in_every_encoding_and_with_every_line_end(write: Write, encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    expected = [one.arguments() for one in read_file(write("TODO.md", LIST), None, "")[1].items]
    for end in ("\n", "\r\n", "\r"):
        file = write("TODO.md", (mark + LIST).replace("\n", end).encode(encoding))
        assert [one.arguments() for one in read_file(file, None, "")[1].items] == expected
    plain = write("TODO", LIST.encode())
    assert read_file(plain, None, "")[0] == "markdown"
    assert read_file(write("list.txt", "[notes]: x\n\n- [ ] a\n"), None, "")[0] == "markdown"


# ------------------------------------------------------------------ how it goes


class Scripted:
    """A room that answers as it is told, and counts what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), 0

    def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        assert tool == "import_task"
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else "created"
        if isinstance(answer, str):
            return {"task": "T-1", "outcome": answer, "differs": [], "missing": []}
        raise answer


def limited(seconds: float) -> Failure:
    body = {"code": "rate_limited", "why": "too fast", "fix": "wait", "retry_after_seconds": seconds}
    return Failure("too fast", "wait", body=body)


def test_an_import_waits_as_long_as_the_room_says_and_not_for_hours(write: Write) -> None:
    file = write("TODO.md", "- [ ] a\n- [ ] b\n")
    waited: list[float] = []
    reports: list[tuple[int, int]] = []
    room = Scripted(limited(3), limited(5), "created", "unchanged")
    sent = send(room, read_file(file, None, "")[1], lambda done, total: reports.append((done, total)), waited.append)
    assert (waited, room.asked, reports) == ([3, 5], 4, [(0, 2), (1, 2), (2, 2)])
    assert (sent.outcomes["created"], sent.outcomes["unchanged"]) == (1, 1)
    with pytest.raises(Failure, match="stopped after 1 of 2 tasks") as stopped:
        send(Scripted("created", limited(7200)), read_file(file, None, "")[1], lambda done, total: None, waited.append)
    assert stopped.value.fix.endswith(GO_ON)


async def test_an_import_keeps_to_the_rate_of_a_person_and_shows_its_progress(tmp_path: Path, write: Write) -> None:
    settings: dict[str, Any] = {"acts_per_second": 1.0, "acts_burst": 1}
    file = write("a.md", "".join(f"- [ ] {number}\n" for number in range(30)))
    async with running_room(tmp_path / "slow", **settings) as room:
        shell = shell_of(room)
        done = await anyio.to_thread.run_sync(lambda: shell.on_terminal("import", str(file)))
    assert done.code == 0, done.out
    assert "Importing tasks" in done.out
    assert "a.md (markdown): 30 created, 0 changed, 0 unchanged." in done.out


class Meanwhile:
    """A room in which something happens before one of its calls."""

    def __init__(self, room: BlockingRoom, before: int, happens: Callable[[], Any]) -> None:
        self.room, self.before, self.happens, self.asked = room, before, happens, 0

    def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        self.asked += 1
        if self.asked == self.before:
            self.happens()
        return self.room.call(tool, **arguments)


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["pause", "interrupt"])
async def test_an_import_that_stops_in_the_middle_goes_on_where_it_stopped(
    room: RunningRoom, write: Write, how: str
) -> None:
    owner = await room.owner()
    await room.enroll("ann", kind="human", role="member")
    file = write("TODO.md", "".join(f"- [ ] {number}\n" for number in range(6)))

    def import_until_stopped() -> Failure | KeyboardInterrupt:
        with (
            BlockingRoom(f"{room.url}/mcp", room.tokens["ann"]) as ann,
            BlockingRoom(f"{room.url}/mcp", room.owner_token) as olga,
        ):
            happens = interrupt if how == "interrupt" else lambda: olga.call("pause", target="ann", reason="not now")
            with pytest.raises((Failure, KeyboardInterrupt)) as stopped:
                send(Meanwhile(ann, 4, happens), read_file(file, None, "")[1], lambda done, total: None, time.sleep)
            return stopped.value

    stopped = await anyio.to_thread.run_sync(import_until_stopped)
    shell = Shell(room.folder.parent, {"TEAMROOM_URL": room.url, "TEAMROOM_TOKEN": room.tokens["ann"]})
    if isinstance(stopped, Failure):
        assert (stopped.exit_code, stopped.body["code"], stopped.body["imported"]) == (PAUSED, "paused", 3)
        assert stopped.why.endswith("The import stopped after 3 of 6 tasks.")
        done = await shell.here("import", str(file))
        assert (done.code, "after 0 of 6 tasks" in done.err, GO_ON in done.err) == (PAUSED, True, True)
        await owner("resume", target="ann")
    assert counts(await imported(shell, str(file))) == (3, 0, 3, 0)


async def test_an_agent_imports_nothing(room: RunningRoom, write: Write) -> None:
    await room.enroll("builder")
    shell = Shell(room.folder.parent, {"TEAMROOM_URL": room.url, "TEAMROOM_TOKEN": room.tokens["builder"]})
    done = await shell.here("import", str(write("TODO.md", "- [ ] a\n- [ ] b\n")))
    assert done.code == 3
    assert "Only a person can import tasks." in done.err
