"""The room's key: one secret in the data folder, from which a separate key is derived for each use.

Seals and backups are signed with Ed25519: the public key is enough to check them, and only the folder's key can make
them. Nothing else in the room depends on that key pair.
"""

import hashlib
import hmac
from functools import cached_property
from pathlib import Path
from typing import Protocol

from teamroom.server.identity import Entropy
from teamroom.server.private import NotPrivateError, decode_text, read_private, write_private
from teamroom.server.store.folder import KEY, FolderError

KEY_BYTES = 32

SIGNING = b"ed25519"
"""What the seed of the signing key is derived for."""


class Checks(Protocol):
    """Something that can tell what the room's key has signed."""

    def has_signed(self, message: bytes, signature: str) -> bool:
        """Whether the room's key made this signature of this message."""
        ...


class PublicKey:
    """The public half of the room's key: enough to check a signature, and no secret."""

    def __init__(self, hexadecimal: str) -> None:
        """Raises ValueError for a text that is no key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        self._key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(hexadecimal))

    def __str__(self) -> str:
        return self._key.public_bytes_raw().hex()

    def has_signed(self, message: bytes, signature: str) -> bool:
        """Whether the room's key made this signature of this message."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(bytes.fromhex(signature), message)
        except (InvalidSignature, ValueError):
            return False
        return True


class RoomKey:
    """The room's secret, and what is derived of it."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret

    @cached_property
    def _pair(self) -> tuple[object, PublicKey]:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        private = Ed25519PrivateKey.from_private_bytes(hmac.new(self.secret, SIGNING, hashlib.sha256).digest())
        return private, PublicKey(private.public_key().public_bytes_raw().hex())

    @property
    def public(self) -> PublicKey:
        """The half of the key that readers may have."""
        return self._pair[1]

    def sign(self, message: bytes) -> str:
        """Sign a message (Ed25519, hexadecimal)."""
        private, _ = self._pair
        signature: bytes = private.sign(message)  # type: ignore[attr-defined]
        return signature.hex()

    def has_signed(self, message: bytes, signature: str) -> bool:
        """Whether this key made this signature of this message."""
        return self.public.has_signed(message, signature)


def find_key(folder: Path) -> RoomKey | None:
    """The folder's key, None where there is none that can be read. Raises NotPrivateError."""
    secret = find_secret(folder / KEY)
    return None if secret is None else RoomKey(secret)


def find_secret(path: Path) -> bytes | None:
    """The key in a file, None where there is none that can be read. Raises NotPrivateError."""
    try:
        return bytes.fromhex(decode_text(read_private(path)).strip()) or None
    except NotPrivateError:
        raise
    except (OSError, ValueError):
        return None


def copy_key(source: Path, folder: Path) -> None:
    """Put a copy of a room's key into a folder that has none. Raises FolderError if the folder has another one."""
    secret = find_secret(source)
    if secret is None:
        raise FolderError(f"{source} contains no key. Name a copy of the room's {KEY}, which only your user can read.")
    if not (folder / KEY).exists():
        write_private(folder / KEY, secret.hex() + "\n")
    elif (key := find_key(folder)) is None or key.secret != secret:
        raise FolderError(f"{folder / KEY} is not the key in {source}: the folder belongs to another room.")


def make_key(folder: Path, entropy: Entropy) -> RoomKey:
    """The folder's key, made where there is no file of that name. Raises FolderError when the file holds none."""
    path = folder / KEY
    if not path.exists():
        write_private(path, entropy(KEY_BYTES).hex() + "\n")
    key = find_key(folder)
    if key is None:
        raise FolderError(f"{path} contains no key. Put back this room's file.")
    return key


def renew_key(folder: Path, entropy: Entropy) -> RoomKey:
    """The folder's key, or a new one in the place of a file that holds none, which is kept aside. Raises OSError."""
    path = folder / KEY
    if (key := find_key(folder)) is not None:
        return key
    if path.exists():
        path.rename(path.with_name(f"{KEY}.unreadable"))
    return make_key(folder, entropy)
