"""`teamroom connect`: a client's stdin and stdout on one side, the room's HTTP endpoint on the other.

Every frame is carried as it is, in both protocol eras, pushes included. Standard output carries protocol
and nothing else; words go to standard error. It ends when standard input does.
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
"""The longest line that is read from the client; the room itself takes far less."""

FRAMES_WAITING = 16

Frames = MemoryObjectSendStream[bytes | None]


def connect(place: Place, name: str) -> Failure | None:
    """Carry frames until standard input ends; returns what kept the bridge from its room to the end, if anything."""
    return anyio.run(partial(_carry, place, name))


async def _carry(place: Place, name: str) -> Failure | None:
    write = protocol_only_on_stdout()
    bridge = Bridge(place, name, write, say)
    send, receive = anyio.create_memory_object_stream[bytes | None](FRAMES_WAITING)
    loop = asyncio.get_running_loop()
    # A daemon: a read that blocks on a terminal must not hold the process when a signal ends it.
    threading.Thread(target=_read_frames, args=(send, loop), daemon=True).start()
    async with receive:
        await bridge.run(receive)
    return bridge.failure


def _read_frames(frames: Frames, loop: asyncio.AbstractEventLoop) -> None:
    """Hand each line of standard input to the loop, at the pace at which it takes them."""
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
    """The way to the client. What else writes to standard output goes to standard error from now on."""
    out = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lock = anyio.Lock()

    async def write(frame: bytes) -> None:
        async with lock:
            await anyio.to_thread.run_sync(_write_all, out, frame + b"\n")

    return write


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    with contextlib.suppress(BrokenPipeError):  # the client left; standard input will say so
        while view:
            view = view[os.write(descriptor, view) :]
