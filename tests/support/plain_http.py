"""What HTTP clients of a room on this machine need of TLS: nothing.

A client of httpx2 otherwise loads every certificate of the system, which costs more CPU than ten calls of a tool.
"""

import ssl

WITHOUT_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Give this as `verify`. It trusts no certificate, so an address with https would fail."""
