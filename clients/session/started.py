"""Who started this process. The shell loads this before all else: in the second that the rest takes it may end."""

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
