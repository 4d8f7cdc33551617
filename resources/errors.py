"""How a refusal, or a fault of ours, is told where there is no tool's result to tell it in: a JSON-RPC error."""

from collections.abc import Iterator
from contextlib import contextmanager

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS

from teamroom.server.faults import Faults
from teamroom.server.refusals import Refusal

REFUSED = -32050
"""The JSON-RPC error code of what is refused; what it says is in its message and its data."""


@contextmanager
def told(faults: Faults, what: str) -> Iterator[None]:
    """Raises MCPError with a refusal of the block, or for a fault of ours, which is logged and stays inside."""
    try:
        yield
    except Refusal as refusal:
        wrong = refusal.code in ("not_found", "invalid")
        raise MCPError(INVALID_PARAMS if wrong else REFUSED, refusal.text(), refusal.body()) from None
    except Exception:
        raise MCPError(INTERNAL_ERROR, faults.report(what)) from None
