"""Private files: only their user can read them."""

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a small private file, completely or not at all. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def make_private_folder(path: Path) -> None:
    """Create a private folder and its parents where they do not exist. Raises OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
