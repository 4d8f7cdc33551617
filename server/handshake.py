"""How a server proves that it is a member's room, before a client sends it that member's token in plain HTTP.

The client sends the beginning of the token's hash, a fresh nonce, and the address that it dialled. The server answers
with an HMAC of all three, keyed with the whole hash. A program that took over the room's port knows no hash. It cannot
pass the challenge on to the room either, because the room answers for its own addresses only.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

HANDSHAKE_PATH = "/handshake"

START_CHARACTERS = 16
"""How much of a hash names the token: 64 of 256 bits, which are too few to compute a proof or a token from."""

NONCE_BYTES = 32

CONTEXT = b"room-handshake/1"
"""What the HMAC is made for, so that it proves nothing anywhere else."""

QUERY = re.compile(
    rf"start=([0-9a-f]{{{START_CHARACTERS}}})&nonce=([0-9a-f]{{{2 * NONCE_BYTES}}})&address=([0-9a-f.:\[\]]{{3,64}})"
)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server must prove: that it knows the hash that begins with `start`, and is the one at `address`."""

    start: str
    nonce: str
    address: str

    @property
    def query(self) -> str:
        """The challenge as the query of a request."""
        return f"start={self.start}&nonce={self.nonce}&address={self.address}"

    def proof(self, token_hash: str) -> str:
        """The answer of a server that knows the hash."""
        message = b"\n".join((CONTEXT, self.query.encode()))
        return hmac.new(token_hash.encode(), message, hashlib.sha256).hexdigest()


def new_challenge(token_hash: str, address: str) -> Challenge:
    """A challenge with a fresh nonce for the server at an address."""
    return Challenge(token_hash[:START_CHARACTERS], secrets.token_hex(NONCE_BYTES), address)


def read_challenge(query: str) -> Challenge | None:
    """The challenge in a request's query, None if it is none."""
    found = QUERY.fullmatch(query)
    return None if found is None else Challenge(*found.groups())


def written_address(host: str, port: int) -> str:
    """An end of a TCP connection as both sides write it, such as 127.0.0.1:8765 or [::1]:8765."""
    address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
