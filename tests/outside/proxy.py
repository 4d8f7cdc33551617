"""A proxy that adds a bearer token to each request, for a program that can give none.

It changes the head of a request and nothing else: its own address becomes the room's, every other Host and Origin
goes on as it came, and each connection carries one request.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator

HEAD_BYTES = 65_536
CHUNK_BYTES = 65_536
IDLE_SECONDS = 120.0
LEAVE_SECONDS = 5.0
"""The longest head, how much is passed on at once, how long a connection may be silent, and stay after its answer."""

END = b"\r\n\r\n"
OWN = (b"authorization:", b"connection:")
"""Headers of a request that the proxy sets itself."""


@contextlib.contextmanager
def proxy(port: int, token: str) -> Iterator[str]:
    """A proxy to the room on a port as long as the block runs; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        own = listener.getsockname()[1]
        threading.Thread(target=_serve, args=(listener, own, port, token), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{own}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, own: int, port: int, token: str) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_pass_on, args=(client, own, port, token), daemon=True).start()


def _pass_on(client: socket.socket, own: int, port: int, token: str) -> None:
    with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as room:
        client.settimeout(IDLE_SECONDS)
        room.settimeout(IDLE_SECONDS)
        request = b""
        while END not in request and len(request) < HEAD_BYTES:
            received = client.recv(CHUNK_BYTES)
            if not received:
                return
            request += received
        head, _, rest = request.partition(END)
        room.sendall(_with_token(head, own, port, token) + END + rest)
        sending = threading.Thread(target=_copy, args=(client, room), daemon=True)
        sending.start()
        _copy(room, client)
        sending.join(LEAVE_SECONDS)  # what still comes is taken in: closing on it would lose the answer in a reset


def _with_token(head: bytes, own: int, port: int, token: str) -> bytes:
    """A request's head as the room gets it."""
    first, *lines = head.split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(OWN)]
    own_address, address = f":{own}".encode(), f":{port}".encode()
    kept = [line.replace(own_address, address) if line[:5].lower() in (b"host:", b"origi") else line for line in kept]
    return b"\r\n".join([first, *kept, f"Authorization: Bearer {token}".encode(), b"Connection: close"])


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
