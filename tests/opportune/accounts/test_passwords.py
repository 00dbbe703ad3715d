import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from opportune.accounts import passwords
from opportune.errors import Busy

EMAIL = "ada@example.com"


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("1234567", "at least 8"),
        ("x" * 1025, "at most 1024"),
        ("ADA@example.com", "e-mail"),
        ("Password123", "Many people"),
        ("nul\0 is no character", "NUL"),
        ("half a character: \ud800", "Unicode"),
    ],
)
def test_a_weak_password_is_named(password: str, words: str) -> None:
    assert words in (passwords.fault(password, EMAIL) or "")


@pytest.mark.parametrize("password", ["eight ch", "x" * 1024, "пароль из слов", "  spaces around  "])
def test_any_other_password_is_fine(password: str) -> None:
    assert passwords.fault(password, EMAIL) is None


def test_common_passwords_that_are_too_short_are_not_listed() -> None:
    assert all(len(password) >= passwords.SHORTEST for password in passwords.COMMON)


async def test_hashing_leaves_the_event_loop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    nice: set[int] = set()
    inner = passwords.helper

    class Spy:
        def hash(self, password: str) -> str:
            threads.append(threading.get_ident())
            nice.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return inner.hash(password)

        def verify_and_update(self, plain_password: str, hashed_password: str) -> tuple[bool, str | None]:
            threads.append(threading.get_ident())
            return inner.verify_and_update(plain_password, hashed_password)

    monkeypatch.setattr(passwords, "helper", Spy())

    stored = await passwords.hashed("a long password")
    assert (await passwords.verify("a long password", stored))[0]
    await passwords.verify_nobody("a long password")

    assert len(threads) == 3
    assert threading.get_ident() not in threads
    if sys.platform == "linux":
        assert min(nice) > os.getpriority(os.PRIO_PROCESS, 0), "the loop goes first"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no place of their own")
def test_hashing_gives_way_in_a_process_that_gives_way_itself() -> None:
    def place() -> int:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 12)
        passwords.give_way()
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(place).result() == 19


async def test_what_follows_the_longest_password_counts() -> None:
    stored = await passwords.hashed("x" * passwords.LONGEST)

    assert (await passwords.verify("x" * passwords.LONGEST, stored))[0]
    assert not (await passwords.verify("x" * (passwords.LONGEST + 1), stored))[0]


async def test_who_finds_the_line_full_is_sent_away_until_it_moves_on(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    class Slow:
        def hash(self, password: str) -> str:
            assert go_on.wait(30)
            return password

    monkeypatch.setattr(passwords, "helper", Slow())
    monkeypatch.setattr(passwords, "MOST_AT_ONCE", 3)
    line = [asyncio.ensure_future(passwords.hashed("a long password")) for _ in range(3)]
    await asyncio.sleep(0)  # they stand in line now
    try:
        with pytest.raises(Busy):
            await passwords.hashed("a long password")
    finally:
        go_on.set()
    await asyncio.gather(*line)

    assert await passwords.hashed("a long password")
