"""The HTTP client of programs that wait long or carry streams."""

import httpx2

from teamroom.clients.session.connection import is_this_machine


def http_client(url: str, timeout: httpx2.Timeout, limits: httpx2.Limits | None = None) -> httpx2.AsyncClient:
    """Create an HTTP client for one room. It never uses a proxy for this machine."""
    return httpx2.AsyncClient(
        timeout=timeout,
        limits=limits or httpx2.Limits(),
        trust_env=not is_this_machine(url),
        verify=url.startswith("https:"),  # certificates load slowly, and http needs none
    )
