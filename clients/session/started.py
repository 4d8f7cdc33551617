"""How this process began: who started it, and when it is loaded.

The shell loads this before all else: while the rest loads, who started it may end.
"""

import gc
import os

NOBODY = -1
"""The id of no process."""


def _started_by() -> int:
    """The process that started this one, or nobody where that has ended already.

    Who leads no session shares that of who started it: a parent of another one has only adopted it.
    """
    parent = os.getppid()
    try:
        is_adopted = os.getsid(0) not in (os.getpid(), os.getsid(parent))
    except OSError:  # it ends right now, or may not be asked for
        return parent
    return NOBODY if is_adopted else parent


STARTED_BY = _started_by()


def collect_garbage() -> None:
    """Collect garbage from now on, in a program that stays; what it has loaded so far is left out."""
    gc.freeze()
    gc.enable()
