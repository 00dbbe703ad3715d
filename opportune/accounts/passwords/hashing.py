"""Hashes of passwords. Hashing takes a tenth of a second of all cores: never on the event loop."""

import asyncio
import os
import secrets
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from opportune.errors import Busy
from opportune.runtime.memory import total_memory_bytes

if TYPE_CHECKING:
    from pwdlib import PasswordHash

T = TypeVar("T")

MAX_PASSWORD_LENGTH = 1024

# The last in line waits some five seconds on a small machine, which is as long as people wait.
MAX_WAITING_HASHES = 32


SMALL_MACHINE_BYTES = 1_000_000_000
SMALL_MEMORY_KIBIBYTES = 33 * 1024
"""Above OWASP's least, which is 19 MiB; and glibc gives back to the system at once what is more than 32 MiB."""


class _PasswordHelper:
    """Argon2id, imported by the first hash: with pwdlib's measures, 64 MiB, or half of that on a small machine.

    Who signs in with a hash of other measures has it replaced.
    """

    @cached_property
    def _its(self) -> "PasswordHash":
        from pwdlib import PasswordHash  # noqa: PLC0415 - as just said
        from pwdlib.hashers.argon2 import Argon2Hasher  # noqa: PLC0415 - as above

        is_small = (total_memory_bytes() or SMALL_MACHINE_BYTES) < SMALL_MACHINE_BYTES
        small = Argon2Hasher(time_cost=2, memory_cost=SMALL_MEMORY_KIBIBYTES, parallelism=1)
        return PasswordHash((small,)) if is_small else PasswordHash.recommended()

    def hash(self, password: str) -> str:
        return self._its.hash(password)

    def verify_and_update(self, password: str, hashed_password: str) -> tuple[bool, str | None]:
        return self._its.verify_and_update(password, hashed_password)

    def generate(self) -> str:
        return secrets.token_urlsafe(32)


password_helper = _PasswordHelper()


def lower_thread_priority() -> None:
    """Let the event loop go first. The threads that a hash takes all cores with inherit this one's place."""
    if sys.platform == "linux":  # elsewhere it would be the whole process
        # The least is 19, and from where a `nice` process is only root comes back.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19))


class _HashQueue:
    """One hash at a time takes all cores, and 64 MiB. More people than that wait, and the rest is sent away.

    So no flood of sign-ins can make the line long. It still fills the places: what each account and address may take of
    them is for limits of their own.
    """

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1, "passwords", lower_thread_priority)
        self.length = 0

    async def run(self, work: Callable[..., T], *given: str) -> T:
        if self.length >= MAX_WAITING_HASHES:
            raise Busy("Too many people are signing in. Try again in a moment.")
        self.length += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, work, *given)
        finally:
            self.length -= 1


_hash_queue = _HashQueue()


async def hash_password(password: str) -> str:
    """The hash to store.

    Raises:
        Busy: too many others wait for theirs.
    """
    return await _hash_queue.run(password_helper.hash, password)


async def verify_password(password: str, hashed_password: str) -> tuple[bool, str | None]:
    """Whether it is the password, and a better hash to keep if the stored one is of an older kind.

    Raises:
        Busy: too many others wait for theirs.
    """
    if not hashed_password:  # they sign in otherwise
        await verify_without_user(password)
        return False, None
    return await _hash_queue.run(
        password_helper.verify_and_update, password[: MAX_PASSWORD_LENGTH + 1], hashed_password
    )


async def verify_without_user(password: str) -> None:
    """Take as long as `verify_password`, so that the time does not tell whether an account exists."""
    await hash_password(password[: MAX_PASSWORD_LENGTH + 1])
