"""Encryption of backups in the age format: to public keys with pyrage, or with a passphrase."""

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BufferedReader
from typing import Any, BinaryIO

from opportune.config.validated_settings import has_value
from opportune.contrib.backup import age
from opportune.contrib.backup.archive import Sink
from opportune.contrib.backup.settings import INSTALL, BackupSettings, parse_public_keys
from opportune.errors import OperatorError

logger = logging.getLogger(__name__)

PRIVATE_KEY_NEEDED = (
    "is encrypted to a public key: pass the file with its private key as --identity, or set BACKUP_IDENTITY to the key."
)
WRONG_PRIVATE_KEY = "It was encrypted to another public key: use the private key that belongs to it."
NO_PRIVATE_KEY = "The file contains no private key: age's keys are lines that begin with AGE-SECRET-KEY-1."


def is_encrypting(settings: BackupSettings) -> bool:
    return bool(settings.backup_recipient.strip()) or has_value(settings.backup_passphrase)


def can_decrypt(settings: BackupSettings) -> bool:
    """Return False for a site that encrypts to public keys and has no private key."""
    return not settings.backup_recipient.strip() or has_value(settings.backup_identity)


@contextmanager
def encrypting(sink: Sink, settings: BackupSettings) -> Iterator[Sink]:
    """Yield a sink that encrypts according to the settings. `BACKUP_RECIPIENT` wins over `BACKUP_PASSPHRASE`."""
    if settings.backup_recipient.strip():
        with _encrypting_to(parse_public_keys(settings.backup_recipient), sink) as target:
            yield target
    elif has_value(settings.backup_passphrase):
        writer = age.EncryptingWriter(sink, settings.backup_passphrase.get_secret_value())
        yield writer
        writer.finish()
    else:
        yield sink


def decrypt(name: str, source: BufferedReader, target: BinaryIO, settings: BackupSettings) -> None:
    identity = settings.backup_identity.get_secret_value()
    passphrase = settings.backup_passphrase.get_secret_value()
    header = source.peek(len(age.PASSPHRASE_HEADER))
    has_passphrase = header.startswith(age.PASSPHRASE_HEADER)
    has_public_key = header.startswith(age.VERSION_LINE) and not has_passphrase
    if has_public_key and not identity:
        raise OperatorError(f"{name} {PRIVATE_KEY_NEEDED}")
    if has_passphrase and not passphrase:
        raise OperatorError(f"{name} is encrypted with a passphrase: set BACKUP_PASSPHRASE.")
    if has_passphrase:
        report_unused_key(name, "is encrypted with a passphrase", settings)
    try:
        if has_public_key:
            _decrypt_with_key(source, target, identity)
        else:
            target.writelines(age.decrypt(source, passphrase))
    except OperatorError as error:
        raise OperatorError(f"{name} cannot be decrypted. {error}") from None


def report_unused_key(name: str, reason: str, settings: BackupSettings) -> None:
    if has_value(settings.backup_identity):
        logger.warning("%s %s, so the private key is not used.", name, reason)


def parse_private_keys(text: str) -> list[Any]:
    """Parse a file that age-keygen wrote, or a single key, into pyrage's identities."""
    try:
        from pyrage import IdentityError, x25519
    except ImportError:
        raise OperatorError(f"A private key needs pyrage. Install it: {INSTALL}") from None
    keys = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    if not keys:
        raise OperatorError(NO_PRIVATE_KEY)
    try:
        return [x25519.Identity.from_str(key) for key in keys]
    except IdentityError:
        raise OperatorError(NO_PRIVATE_KEY) from None


def _decrypt_with_key(source: BufferedReader, target: BinaryIO, private_keys: str) -> None:
    identities = parse_private_keys(private_keys)
    from pyrage import decrypt_io

    try:
        _run_pyrage(decrypt_io, source, target, identities)
    except _PyrageError as error:
        raise OperatorError(WRONG_PRIVATE_KEY if "No matching keys" in str(error) else age.DAMAGED) from None


@contextmanager
def _encrypting_to(recipients: list[Any], sink: Sink) -> Iterator[Sink]:
    """Encrypt in a thread, because pyrage reads its input from a file while the block writes."""
    read_end, write_end = os.pipe()
    with ThreadPoolExecutor(1) as pool:
        encryption = pool.submit(_encrypt, read_end, sink, recipients)
        try:
            with os.fdopen(write_end, "wb") as target:
                yield target
        finally:
            encryption.result()  # an error of the sink replaces the block's broken pipe


def _encrypt(read_end: int, sink: Sink, recipients: list[Any]) -> None:
    from pyrage import encrypt_io

    with os.fdopen(read_end, "rb") as source:
        try:
            _run_pyrage(encrypt_io, source, sink, recipients)
        except _PyrageError as error:
            raise OperatorError(f"The backup cannot be encrypted: {error}.") from None


class _PyrageError(Exception):
    """An error of pyrage itself, such as for wrong keys."""


def _run_pyrage(convert: Callable[..., object], source: BufferedReader, target: Any, keys: list[Any]) -> None:
    """Run pyrage's `convert`. Raise the first error of source or target, else _PyrageError for its own errors."""
    from pyrage import DecryptError, EncryptError

    files = (_ErrorRecordingFile(source), _ErrorRecordingFile(target))
    fault = None
    try:
        convert(*files, keys)
    except (DecryptError, EncryptError, OSError) as pyrage_error:
        fault = _PyrageError(str(pyrage_error))
    for error in (*(file.error for file in files), fault):
        if error:
            raise error


class _ErrorRecordingFile:
    """File that stores its first error, because pyrage replaces errors and ignores an error of the last write."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.error: Exception | None = None

    def read(self, size: int) -> bytes:
        return bytes(self._call(self._file.read, size))

    def write(self, content: bytes) -> int:
        return int(self._call(self._file.write, content))

    def flush(self) -> None:
        """Do nothing: the owner of the file flushes it."""

    def _call(self, method: Callable[[Any], Any], argument: object) -> Any:
        try:
            return method(argument)
        except Exception as error:
            self.error = self.error or error
            raise
