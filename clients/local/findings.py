"""What `teamroom doctor` finds: one line each, with what mends it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

Level = Literal["ok", "mended", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and what mends it.

    `mend` does so where that is safe, whatever else goes on; it may raise OSError.
    """

    level: Level
    about: str
    found: str
    fix: str = ""
    mend: Callable[[], object] | None = None

    def data(self) -> dict[str, str]:
        """The line for programs."""
        return {"level": self.level, "about": self.about, "found": self.found, "fix": self.fix}


def mended(finding: Finding) -> Finding:
    """The finding, mended where that is safe; what was done stands in the place of what was to do."""
    if finding.mend is None:
        return finding
    try:
        finding.mend()
    except OSError as error:
        return replace(finding, found=f"{finding.found} It could not be mended: {error.strerror}.")
    return replace(finding, level="mended", fix=f"Done. {finding.fix}")
