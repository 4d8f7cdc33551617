"""The JSON-RPC errors for refusals and faults of requests that have no tool result."""

from collections.abc import Iterator
from contextlib import contextmanager

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS

from teamroom.server.faults import Faults
from teamroom.server.refusals import REFUSED, Refusal

MALFORMED = ("not_found", "invalid")
"""Codes for which MCP requires `INVALID_PARAMS`, also if an address or a prompt does not exist."""


@contextmanager
def as_mcp_errors(faults: Faults, what: str) -> Iterator[None]:
    """Turn refusals and faults of a block into MCPError. A fault is logged, and the caller gets only its id."""
    try:
        yield
    except Refusal as refusal:
        code = INVALID_PARAMS if refusal.code in MALFORMED else REFUSED
        raise MCPError(code, refusal.text(), refusal.body()) from None
    except Exception:
        raise MCPError(INTERNAL_ERROR, faults.report(what)) from None
