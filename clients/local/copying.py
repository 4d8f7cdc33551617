"""`teamroom copy`, which opens a data folder and a database itself."""

from teamroom.clients.session.failure import Failure
from teamroom.clients.session.program import own_name
from teamroom.clients.session.progress import progress
from teamroom.clients.session.terminal import print_json
from teamroom.server.copying import copy_room, is_address
from teamroom.server.private import NotPrivateError
from teamroom.server.store.copying import CopyError
from teamroom.server.store.engine import StorageError
from teamroom.server.store.folder import FolderError

NEXT = {
    True: "Start its first server with a folder of its own: {} up --data NEW --database … --key-file OLD/room.key",
    False: "Open it with: {} up --data {}",
}
"""What comes after a copy, by whether it is in a database."""


def copy(source: str, target: str, as_json: bool) -> int:
    """Copy a room between engines; returns the exit code. Raises Failure."""
    try:
        with progress("Copying", "Verifying") as (copying, verifying):
            done = copy_room(source, target, copying, verifying)
    except (CopyError, FolderError) as error:
        raise Failure(f"{error}.", "Nothing was copied. Fix that, then copy again.") from None
    except NotPrivateError as error:
        raise Failure(f"{error}.", error.fix) from None
    except ImportError:
        raise Failure("A room in PostgreSQL needs psycopg.", "pip install 'teamroom[postgres]'") from None
    except (OSError, ValueError, StorageError) as error:
        raise Failure(
            f"The room cannot be copied: {error}.", "Nothing was copied. Fix that, then copy again."
        ) from None
    except Exception as error:
        raise Failure(
            f"The room cannot be copied: {type(error).__name__}: {str(error).splitlines()[0]}",
            "Nothing was copied. Check both places, then copy again.",
        ) from None
    if as_json:
        print_json({"rows": done.rows, "entries": done.seq, "hash": done.hash})
    else:
        print(f"{done.rows} rows copied, and {done.seq} entries verified. The log ends in {done.hash}@{done.seq}")
        print(NEXT[is_address(target)].format(own_name(), target))
    return 0
