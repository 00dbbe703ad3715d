"""Passphrase encryption in the age format (https://age-encryption.org/v1), readable with `age -d`.

pyrage loads the whole file into memory for passphrases. This module streams, using cryptography's primitives.
"""

import hmac
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO

from opportune.contrib.backup.archive import Sink
from opportune.errors import OperatorError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

SUFFIX = ".age"
VERSION_LINE = b"age-encryption.org/v1\n"
PASSPHRASE_HEADER = VERSION_LINE + b"-> scrypt "
HEADER_LINES = 4
MAX_LINE_BYTES = 256
CHUNK_BYTES = 64 * 1024
TAG_BYTES = NONCE_BYTES = SALT_BYTES = FILE_KEY_BYTES = 16
SCRYPT_WORK_BITS = 15
"""Cost of scrypt: it uses 2 to this power kB of memory (32 MB)."""
MAX_SCRYPT_WORK_BITS = 20
"""Highest cost accepted when reading (1 GB of memory)."""
HEADER = re.compile(
    rb"(?P<signed>age-encryption\.org/v1\n-> scrypt (?P<salt>[A-Za-z0-9+/]{22}) (?P<log>[1-9]\d?)\n"
    rb"(?P<body>[A-Za-z0-9+/]{43})\n---) (?P<mac>[^\n]*)\n?"
)
DAMAGED = "It is damaged or truncated: use another backup."


class EncryptingWriter:
    """Encrypts what is written and passes it to a sink. Call `finish` to write the last chunk."""

    def __init__(self, sink: Sink, passphrase: str) -> None:
        self._sink = sink
        self._buffer = bytearray()
        file_key = secrets.token_bytes(FILE_KEY_BYTES)
        nonce = secrets.token_bytes(NONCE_BYTES)
        sink.write(_build_header(file_key, passphrase) + nonce)
        self._chunks = _ChunkCipher(file_key, nonce)

    def write(self, content: bytes) -> int:
        self._buffer += content
        while len(self._buffer) > CHUNK_BYTES:  # age allows an empty last chunk only in an empty file
            self._sink.write(self._chunks.seal(bytes(self._buffer[:CHUNK_BYTES]), is_last=False))
            del self._buffer[:CHUNK_BYTES]
        return len(content)

    def flush(self) -> None:
        """Do nothing: full chunks are written immediately, the last one by `finish`."""

    def finish(self) -> None:
        self._sink.write(self._chunks.seal(bytes(self._buffer), is_last=True))


def decrypt(source: BinaryIO, passphrase: str) -> Iterator[bytes]:
    """Yield the decrypted chunks of an age file. `source.read` may return fewer bytes only at the end."""
    chunks = _ChunkCipher(_read_file_key(source, passphrase), source.read(NONCE_BYTES))
    sealed = source.read(CHUNK_BYTES + TAG_BYTES)
    while following := source.read(CHUNK_BYTES + TAG_BYTES):
        yield chunks.open(sealed, is_last=False)
        sealed = following
    yield chunks.open(sealed, is_last=True)


class _ChunkCipher:
    """Cipher for the chunks of a payload. The nonce is the chunk's number plus a flag for the last one."""

    def __init__(self, file_key: bytes, nonce: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        self._cipher = ChaCha20Poly1305(_derive_key(file_key, nonce, b"payload"))
        self._number = 0

    def seal(self, content: bytes, *, is_last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(is_last=is_last), content, None)

    def open(self, sealed: bytes, *, is_last: bool) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(self._nonce(is_last=is_last), sealed, None)
        except InvalidTag:
            raise OperatorError(DAMAGED) from None

    def _nonce(self, *, is_last: bool) -> bytes:
        self._number += 1
        return (self._number - 1).to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")


def _build_header(file_key: bytes, passphrase: str) -> bytes:
    salt = secrets.token_bytes(SALT_BYTES)
    wrapped = _key_cipher(passphrase, salt, SCRYPT_WORK_BITS).encrypt(bytes(12), file_key, None)
    header = VERSION_LINE + b"-> scrypt %s %d\n%s\n---" % (_to_base64(salt), SCRYPT_WORK_BITS, _to_base64(wrapped))
    return header + b" %s\n" % _to_base64(_compute_mac(file_key, header))


def _read_file_key(source: BinaryIO, passphrase: str) -> bytes:
    from cryptography.exceptions import InvalidTag

    header = HEADER.fullmatch(b"".join(source.readline(MAX_LINE_BYTES) for _ in range(HEADER_LINES)))
    if not header or int(header["log"]) > MAX_SCRYPT_WORK_BITS:
        raise OperatorError("It is not an age file with a passphrase, or it is truncated.")
    try:
        cipher = _key_cipher(passphrase, _from_base64(header["salt"]), int(header["log"]))
        file_key = cipher.decrypt(bytes(12), _from_base64(header["body"]), None)
    except InvalidTag:
        raise OperatorError("It was encrypted with another passphrase: set BACKUP_PASSPHRASE to it.") from None
    if not hmac.compare_digest(header["mac"], _to_base64(_compute_mac(file_key, header["signed"]))):
        raise OperatorError(DAMAGED)
    return file_key


def _key_cipher(passphrase: str, salt: bytes, work_bits: int) -> "ChaCha20Poly1305":
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    kdf = Scrypt(salt=b"age-encryption.org/v1/scrypt" + salt, length=32, n=2**work_bits, r=8, p=1)
    return ChaCha20Poly1305(kdf.derive(passphrase.encode()))


def _compute_mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derive_key(file_key, None, b"header"), header, sha256)


def _derive_key(key: bytes, salt: bytes | None, info: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length=32, salt=salt, info=info).derive(key)


def _to_base64(content: bytes) -> bytes:
    return b64encode(content).rstrip(b"=")


def _from_base64(content: bytes) -> bytes:
    return b64decode(content + b"=" * (-len(content) % 4))
