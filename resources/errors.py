"""The JSON-RPC errors for refusals and faults of requests that have no tool result."""

from collections.abc import Iterator
from contextlib import contextmanager

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS

from teamroom.server.faults import Faults
from teamroom.server.refusals import REFUSED, Refusal

MALFORMED = ("not_found", "invalid")
"""Refusals of the request itself: MCP asks for `INVALID_PARAMS`, also where an address or a prompt does not exist."""


@contextmanager
def told(faults: Faults, what: str) -> Iterator[None]:
    """Raises MCPError with a refusal of the block, or for a fault of ours, which is logged and stays inside."""
    try:
        yield
    except Refusal as refusal:
        code = INVALID_PARAMS if refusal.code in MALFORMED else REFUSED
        raise MCPError(code, refusal.text(), refusal.body()) from None
    except Exception:
        raise MCPError(INTERNAL_ERROR, faults.report(what)) from None
