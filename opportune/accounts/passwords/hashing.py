"""Password hashing. A hash uses all cores for 0.1 s, so it never runs on the event loop."""

import asyncio
import os
import re
import secrets
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import NamedTuple, TypeVar

from pwdlib import PasswordHash

from opportune.errors import Busy
from opportune.server.memory import total_memory_bytes

T = TypeVar("T")

MAX_PASSWORD_LENGTH = 1024

# The last request in the queue waits about five seconds on a small machine.
MAX_WAITING_HASHES = 32

ARGON2_HASH = re.compile(
    r"\$argon2(?:id|i|d)\$(?:v=\d+\$)?m=\d+,t=\d+,p=\d+(?:\$(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2,3})?){2}"
)
"""Hashes that argon2 can compare, which takes its time. It refuses others immediately."""

SMALL_MACHINE_BYTES = 1_000_000_000
SMALL_MEMORY_KIBIBYTES = 33 * 1024
"""Memory of a hash on a small machine: more than OWASP's minimum of 19 MiB.

glibc returns blocks above 32 MiB to the system immediately.
"""


class _PasswordHelper:
    """Argon2id with pwdlib's parameters, 64 MiB; about half of that on a small machine.

    If a stored hash has other parameters, it is replaced when its user signs in.
    """

    @cached_property
    def _password_hash(self) -> "PasswordHash":
        from pwdlib.hashers.argon2 import Argon2Hasher  # only for sign-ins

        is_small_machine = (total_memory_bytes() or SMALL_MACHINE_BYTES) < SMALL_MACHINE_BYTES
        small_hasher = Argon2Hasher(time_cost=2, memory_cost=SMALL_MEMORY_KIBIBYTES, parallelism=1)
        return PasswordHash((small_hasher,)) if is_small_machine else PasswordHash.recommended()

    def hash(self, password: str) -> str:
        return self._password_hash.hash(password)

    def verify_and_update(self, password: str, hashed_password: str) -> tuple[bool, str | None]:
        if not ARGON2_HASH.fullmatch(hashed_password):  # damaged, or of another site: its user resets the password
            self.hash(password)  # takes as long as for other accounts
            return False, None
        return self._password_hash.verify_and_update(password, hashed_password)

    def generate(self) -> str:
        return secrets.token_urlsafe(32)


password_helper = _PasswordHelper()


def lower_thread_priority() -> None:
    """Lower the priority of this thread, and of the threads it starts, below the event loop's."""
    if sys.platform == "linux":  # on other systems, this would change the priority of the whole process
        # 19 is the lowest priority. Only root can raise the priority of a thread again.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19))


class _HashQueue:
    """Runs one hash at a time, because each uses all cores and 64 MiB. Further requests wait in a short queue.

    If the queue is full, requests get an error. Rate limits keep one account or address from filling it.
    """

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1, "passwords", lower_thread_priority)
        self.length = 0

    async def run(self, function: Callable[..., T], *arguments: str) -> T:
        if self.length >= MAX_WAITING_HASHES:
            raise Busy("Too many users are signing in. Try again in a moment.")
        self.length += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, function, *arguments)
        finally:
            self.length -= 1


_hash_queue = _HashQueue()


async def hash_password(password: str) -> str:
    """Hash a password for storage.

    Raises:
        Busy: Too many other requests are waiting.
    """
    return await _hash_queue.run(password_helper.hash, normalize_password(password))


def normalize_password(password: str) -> str:
    """Return the NFKC form, as NIST SP 800-63B advises: keyboards send the same letter as different characters."""
    return unicodedata.normalize("NFKC", password)


class Verification(NamedTuple):
    is_correct: bool
    new_hash: str | None
    """A hash to store instead, if the password is correct and its hash has other parameters."""


def _verify(password: str, hashed_password: str) -> Verification:
    normalized = normalize_password(password)
    verification = Verification(*password_helper.verify_and_update(normalized, hashed_password))
    if verification.is_correct or normalized == password:
        return verification
    # Earlier versions hashed the password as it was typed.
    is_correct, _ = password_helper.verify_and_update(password, hashed_password)
    return Verification(is_correct, password_helper.hash(normalized) if is_correct else None)


def _hash_as_often_as_verify(password: str) -> None:
    for variant in {password, normalize_password(password)}:
        password_helper.hash(variant)


async def verify_password(password: str, hashed_password: str) -> Verification:
    """Compare a password with a stored hash.

    Raises:
        Busy: Too many other requests are waiting.
    """
    if not hashed_password:  # the user has no password
        await verify_without_user(password)
        return Verification(is_correct=False, new_hash=None)
    password = password[: MAX_PASSWORD_LENGTH + 1]
    return await _hash_queue.run(_verify, password, hashed_password)


async def verify_without_user(password: str) -> None:
    """Take as long as `verify_password`, so that the time does not reveal whether an account exists."""
    await _hash_queue.run(_hash_as_often_as_verify, password[: MAX_PASSWORD_LENGTH + 1])
