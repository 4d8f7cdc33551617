"""The secret of a driver whose agent somebody else runs, from a private file or the environment; and its random ids."""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from teamroom.clients.session.failure import USAGE, Failure
from teamroom.server.private import NotPrivateError, decode_text, read_private

RANDOM_BYTES = 32

Ids = Callable[[], str]
"""Makes ids and tokens that nobody can guess, and that none has had before."""


def random_id() -> str:
    """Return 64 random characters in hex."""
    return secrets.token_hex(RANDOM_BYTES)


def read_secret(file: Path | None, environment: Mapping[str, str], variable: str) -> str | None:
    """Return the secret, without white space around it; None if there is none. Raises Failure."""
    if file is None:
        return environment.get(variable, "").strip() or None
    try:
        return decode_text(read_private(file.expanduser().absolute(), folders=0)).strip()
    except NotPrivateError as error:
        raise Failure(str(error), error.fix, USAGE) from None
    except (OSError, UnicodeError) as error:
        raise Failure(f"{file} cannot be read: {error}.", "Correct that, then repeat.", USAGE) from None
