"""What a target reads out of bytes: choices, texts, and bodies far longer than the bytes themselves."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

REPEAT = 0xF8
"""From here on a byte, which UTF-8 never has, repeats what stands before it."""

TIMES = (8, 64, 512, 4096)


def grown(data: bytes, most: int) -> bytes:
    """Bytes with their repeats carried out, at most so many: what takes long is long."""
    made = bytearray()
    for byte in data:
        if byte < REPEAT:
            made.append(byte)
        else:
            made += bytes(made[-1 - (byte & 1) :]) * TIMES[byte >> 1 & 3]
        if len(made) >= most:
            break
    return bytes(made[:most])


def text(data: bytes) -> str:
    """Any bytes as a text; what is no UTF-8 becomes lone surrogates, as JSON can hold them."""
    return data.decode("utf-8", "surrogateescape")


class Choices:
    """Bytes read as one choice after the other; once they are used up, each is the first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> bool:
        """Whether there are any more."""
        return self._at < len(self._data)

    def number(self, below: int) -> int:
        """One byte, as a number below another."""
        return self._take(1)[0] % below if self.left else 0

    def pick(self, options: Sequence[T]) -> T:
        """One of several."""
        return options[self.number(len(options))]

    def text(self, most: int) -> str:
        """A text: its length in bytes, then these, with their repeats."""
        return text(grown(self._take(self.number(256)), most))

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken
