"""`teamroom connect`: connects a client's standard input and output to the room's HTTP endpoint.

Every frame is carried unchanged, in both protocol eras, pushes included. Standard output carries only the protocol;
messages go to standard error. The bridge ends when standard input ends.
"""

import asyncio
import contextlib
import os
import sys
import threading
from functools import partial

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectSendStream

from teamroom.clients.bridge.bridge import Bridge, Write
from teamroom.clients.session.failure import Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.terminal import say

FRAME_BYTES = 8 * 1024 * 1024
"""The longest line that is read from the client. The room accepts far less."""

FRAMES_WAITING = 16

Frames = MemoryObjectSendStream[bytes | None]


def connect(place: Place, name: str) -> Failure | None:
    """Carry frames until standard input ends; returns why the room could not be reached at the end, if it could not."""
    return anyio.run(partial(_carry, place, name))


async def _carry(place: Place, name: str) -> Failure | None:
    write = protocol_only_on_stdout()
    bridge = Bridge(place, name, write, say)
    send, receive = anyio.create_memory_object_stream[bytes | None](FRAMES_WAITING)
    loop = asyncio.get_running_loop()
    # A daemon thread: a blocking read of a terminal must not keep the process alive after a signal.
    threading.Thread(target=_read_frames, args=(send, loop), daemon=True).start()
    async with receive:
        await bridge.run(receive)
    return bridge.failure


def _read_frames(frames: Frames, loop: asyncio.AbstractEventLoop) -> None:
    """Send each line of standard input to the loop, with backpressure."""
    with open(sys.stdin.fileno(), "rb", closefd=False) as lines:
        while line := lines.readline(FRAME_BYTES):
            frame: bytes | None = line.strip()
            if len(line) == FRAME_BYTES and not line.endswith(b"\n"):
                frame = None
                while (rest := lines.readline(FRAME_BYTES)) and not rest.endswith(b"\n"):
                    pass
            if frame != b"":
                asyncio.run_coroutine_threadsafe(frames.send(frame), loop).result()
    loop.call_soon_threadsafe(frames.close)


def protocol_only_on_stdout() -> Write:
    """Return the function that writes to the client. All other standard output goes to standard error from now on."""
    out = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lock = anyio.Lock()

    async def write(frame: bytes) -> None:
        async with lock:
            await anyio.to_thread.run_sync(_write_all, out, frame + b"\n")

    return write


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    with contextlib.suppress(BrokenPipeError):  # the client is gone, and standard input ends too
        while view:
            view = view[os.write(descriptor, view) :]
