"""The start of this process: which process started it, and when garbage collection begins.

The shell loads this module first, as its parent may end while the rest loads.
"""

import gc
import os

NOBODY = -1
"""An id that no process has."""


def _started_by() -> int:
    """Return the id of the process that started this one, or NOBODY if that has ended.

    A process that leads no session shares its starter's session. A parent with another session adopted it.
    """
    parent = os.getppid()
    try:
        is_adopted = os.getsid(0) not in (os.getpid(), os.getsid(parent))
    except OSError:  # the parent is ending, or may not be queried
        return parent
    return NOBODY if is_adopted else parent


STARTED_BY = _started_by()


def collect_garbage() -> None:
    """Turn garbage collection on, in a long-running program. Loaded modules are left out of it."""
    gc.freeze()
    gc.enable()
