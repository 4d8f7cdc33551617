"""The findings of `teamroom doctor`, each with its fix."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

Level = Literal["ok", "mended", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line: what was checked, its state and the fix.

    `mend` applies the fix where that is always safe. It may raise OSError.
    """

    level: Level
    about: str
    found: str
    fix: str = ""
    mend: Callable[[], object] | None = None

    def data(self) -> dict[str, str]:
        """Return the finding as JSON values."""
        return {"level": self.level, "about": self.about, "found": self.found, "fix": self.fix}


def mended(finding: Finding) -> Finding:
    """Apply the fix of a finding where that is safe; returns the finding that then applies."""
    if finding.mend is None:
        return finding
    try:
        finding.mend()
    except OSError as error:
        return replace(finding, found=f"{finding.found} The fix failed: {error.strerror}.")
    return replace(finding, level="mended", fix=f"Done. {finding.fix}")
