"""Named SQL: every statement of the store stands in a `.sql` file under `-- name: …`."""

import re
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
SHARED = HERE / "sql"
SQLITE = HERE / "sqlite"

_NAME = re.compile(r"^-- name: (?P<name>[a-z_]+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*$\n?", re.MULTILINE)


def read_statements(folder: Path) -> dict[str, str]:
    """The statements of a folder's files by name. A name that stands twice is an error."""
    statements: dict[str, str] = {}
    for path in sorted(folder.glob("*.sql")):
        parts = _NAME.split(path.read_text(encoding="utf-8"))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in statements:
                raise ValueError(f"{path.name}: the statement {name} stands twice")
            statements[name] = _COMMENT.sub("", text).strip().rstrip(";")
    return statements


@cache
def sqlite_statements() -> dict[str, str]:
    """Everything the SQLite engine runs: the shared statements, and its own texts where they differ."""
    return {**read_statements(SHARED), **read_statements(SQLITE)}


def split_script(script: str) -> list[str]:
    """The statements of a migration, in order."""
    bare = _COMMENT.sub("", script)
    return [text.strip() for text in bare.split(";\n") if text.strip().rstrip(";")]
