"""Files encrypted with a passphrase, in the format of age (https://age-encryption.org/v1): `age -d` reads them too.

The primitives are cryptography's. What is here is the header, and the payload's chunks one after the other.
"""

import hmac
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from opportune.errors import OperatorError

SUFFIX = ".age"
INTRODUCTION = b"age-encryption.org/v1\n"
CHUNK_BYTES, TAG_BYTES = 64 * 1024, 16
NONCE_BYTES, SALT_BYTES, FILE_KEY_BYTES = 16, 16, 16
SCRYPT_WORK_BITS = 15
"""scrypt's work: 2 to this power, times 1 kB of memory. 32 MB, which small machines have."""
MAX_SCRYPT_WORK_BITS = 20
"""Beyond a GB a header asks for more than an honest one does."""
HEADER = re.compile(
    rb"age-encryption\.org/v1\n-> scrypt (?P<salt>[A-Za-z0-9+/]{22}) (?P<log>[1-9]\d?)\n"
    rb"(?P<body>[A-Za-z0-9+/]{43})\n---(?= )"
)
MAX_HEADER_BYTES = 512
DAMAGED = "It is damaged, or cut short: take another backup."


class Sink(Protocol):
    def write(self, content: bytes, /) -> object: ...


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class EncryptingWriter:
    """Writes an age file into a sink, of which `finish` writes the end."""

    def __init__(self, sink: Sink, passphrase: str) -> None:
        self._sink = sink
        self._buffer = bytearray()
        file_key, nonce = secrets.token_bytes(FILE_KEY_BYTES), secrets.token_bytes(NONCE_BYTES)
        sink.write(_header(file_key, passphrase) + nonce)
        self._chunks = _Chunks(file_key, nonce)

    def write(self, content: bytes) -> int:
        self._buffer += content
        while len(self._buffer) > CHUNK_BYTES:  # the last chunk, which says so, is never empty but in an empty file
            self._sink.write(self._chunks.seal(bytes(self._buffer[:CHUNK_BYTES]), is_last=False))
            del self._buffer[:CHUNK_BYTES]
        return len(content)

    def flush(self) -> None:
        """Nothing is held back that could be written now."""

    def finish(self) -> None:
        self._sink.write(self._chunks.seal(bytes(self._buffer), is_last=True))


def decrypt(source: Source, passphrase: str) -> Iterator[bytes]:
    """The content of an age file, each piece as soon as it is known to be genuine.

    Raises:
        OperatorError: it is none, the passphrase is another one, or it was changed or cut.
    """
    reader = _Reader(source)
    file_key = _file_key(reader, passphrase)
    chunks = _Chunks(file_key, reader.exactly(NONCE_BYTES))
    sealed = reader.exactly(CHUNK_BYTES + TAG_BYTES)
    while following := reader.exactly(CHUNK_BYTES + TAG_BYTES):
        yield chunks.open(sealed, is_last=False)
        sealed = following
    yield chunks.open(sealed, is_last=True)


class _Chunks:
    """The chunks of a payload in their order: each has its number in its nonce, and the last one says so."""

    def __init__(self, file_key: bytes, nonce: bytes) -> None:
        self._cipher = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
        self._number = 0

    def seal(self, content: bytes, *, is_last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(is_last=is_last), content, None)

    def open(self, sealed: bytes, *, is_last: bool) -> bytes:
        try:
            return self._cipher.decrypt(self._nonce(is_last=is_last), sealed, None)
        except InvalidTag:
            raise OperatorError(DAMAGED) from None

    def _nonce(self, *, is_last: bool) -> bytes:
        self._number += 1
        return (self._number - 1).to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")


class _Reader:
    """Reads as many bytes as are asked for, however many come at once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._buffer = b""

    def exactly(self, size: int) -> bytes:
        """That many, or what there is before the end."""
        parts, found = [self._buffer], len(self._buffer)
        while found < size and (more := bytes(self._source.read(size - found))):
            parts.append(more)
            found += len(more)
        content = b"".join(parts)
        self._buffer = content[size:]
        return content[:size]

    def give_back(self, content: bytes) -> None:
        self._buffer = content + self._buffer


def _header(file_key: bytes, passphrase: str) -> bytes:
    salt = secrets.token_bytes(SALT_BYTES)
    wrapped = _wrapping(passphrase, salt, SCRYPT_WORK_BITS).encrypt(bytes(12), file_key, None)
    header = INTRODUCTION + b"-> scrypt %s %d\n%s\n---" % (_unpadded(salt), SCRYPT_WORK_BITS, _unpadded(wrapped))
    return header + b" %s\n" % _unpadded(_mac(file_key, header))


def _file_key(reader: _Reader, passphrase: str) -> bytes:
    beginning = reader.exactly(MAX_HEADER_BYTES)
    found = HEADER.match(beginning)
    if not found or int(found["log"]) > MAX_SCRYPT_WORK_BITS:
        raise OperatorError("It is not encrypted with a passphrase, as age does it, or only a part of such a file.")
    try:
        cipher = _wrapping(passphrase, _padded(found["salt"]), int(found["log"]))
        file_key = cipher.decrypt(bytes(12), _padded(found["body"]), None)
    except InvalidTag:
        raise OperatorError("It was encrypted with another passphrase: set BACKUP_PASSPHRASE to that one.") from None
    mac, _, rest = beginning[found.end() + 1 :].partition(b"\n")
    if not hmac.compare_digest(mac, _unpadded(_mac(file_key, found[0]))):
        raise OperatorError(DAMAGED)
    reader.give_back(rest)
    return file_key


def _wrapping(passphrase: str, salt: bytes, log_n: int) -> "ChaCha20Poly1305":
    kdf = Scrypt(salt=b"age-encryption.org/v1/scrypt" + salt, length=32, n=2**log_n, r=8, p=1)
    return ChaCha20Poly1305(kdf.derive(passphrase.encode()))


def _mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derived(file_key, None, b"header"), header, sha256)


def _derived(key: bytes, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=salt, info=info).derive(key)


def _unpadded(content: bytes) -> bytes:
    return b64encode(content).rstrip(b"=")


def _padded(content: bytes) -> bytes:
    return b64decode(content + b"=" * (-len(content) % 4))
