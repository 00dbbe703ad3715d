"""What a password must be, and its hash. Hashing takes a tenth of a second of all cores: never on the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from fastapi_users.password import PasswordHelper

SHORTEST = 8
LONGEST = 1024

# The most frequent ones of published leaks that are long enough.
_COMMON = """
00000000 11111111 11223344 12341234 12344321 123123123 12345678 123456789 1234567890 1234qwer 123qweasd 147258369
1q2w3e4r 1q2w3e4r5t 1qaz2wsx 66666666 87654321 88888888 987654321 999999999 a1b2c3d4 aa123456 abc12345 abcd1234
abcdefgh administrator asdf1234 asdfasdf asdfghjk asdfghjkl baseball basketball changeme computer football iloveyou
internet jennifer letmein1 liverpool login123 master123 michelle p@ssw0rd p@ssword passw0rd password password1
password12 password123 password1234 passwort pokemon1 princess princess1 q1w2e3r4 qazwsxedc qwer1234 qwerty12 qwerty123
qwerty1234 qwertyui qwertyuiop samsung1 starwars sunshine superman trustno1 welcome1 welcome123 whatever zaq12wsx
zxcvbnm1 zxcvbnm123
"""
COMMON = frozenset(_COMMON.split())

helper = PasswordHelper()
# Few threads, since each hash takes 64 MB; more people than that wait in line.
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")


def fault(password: str, email: str) -> str | None:
    """What is wrong with a new password, as a sentence for its owner."""
    if len(password) < SHORTEST:
        return f"Please use at least {SHORTEST} characters."
    if len(password) > LONGEST:
        return f"Please use at most {LONGEST} characters."
    if password.lower() == email.lower():
        return "Please do not use your e-mail address."
    if password.lower() in COMMON:
        return "Many people use this password: it would be among the first to be tried."
    return None


async def hashed(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_threads, helper.hash, password)


async def verify(password: str, hashed_password: str) -> tuple[bool, str | None]:
    """Whether it is the password, and a better hash to keep if the stored one is of an older kind."""
    loop, tried = asyncio.get_running_loop(), password[: LONGEST + 1]
    return await loop.run_in_executor(_threads, helper.verify_and_update, tried, hashed_password)


async def verify_nobody(password: str) -> None:
    """Take as long as `verify`, so that the time does not tell whether an account exists."""
    await hashed(password[: LONGEST + 1])
