"""The secret of a driver whose agent somebody else runs: from a private file, else from the environment."""

from collections.abc import Mapping
from pathlib import Path

from teamroom.clients.session.failure import USAGE, Failure
from teamroom.server.private import NotPrivateError, decode_text, read_private


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
