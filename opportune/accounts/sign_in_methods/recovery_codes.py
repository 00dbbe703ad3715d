"""Single-use codes that replace the authenticator app; only their hashes are stored."""

import hashlib
import secrets

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import RecoveryCode, User

RECOVERY_CODE_COUNT = 10

# Without letters and digits that look alike. 16 characters have 78 bits, too many to guess a code from its hash.
RECOVERY_CODE_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
GROUPS, GROUP_LENGTH = 4, 4
RECOVERY_CODE_LENGTH = GROUPS * GROUP_LENGTH


async def renew_recovery_codes(session: AsyncSession, user: User) -> list[str]:
    """Replace the recovery codes, and return the new ones in plain text."""
    # Lock the user. Otherwise two concurrent requests would each store a set of codes.
    await session.execute(select(col(User.id)).where(col(User.id) == user.id).with_for_update())
    await delete_recovery_codes(session, user)
    codes = [
        "".join(secrets.choice(RECOVERY_CODE_ALPHABET) for _ in range(RECOVERY_CODE_LENGTH))
        for _ in range(RECOVERY_CODE_COUNT)
    ]
    session.add_all(RecoveryCode(user_id=user.id, code_hash=_hash(code)) for code in codes)
    return [format_in_groups(code, GROUP_LENGTH, "-") for code in codes]


async def delete_recovery_codes(session: AsyncSession, user: User) -> None:
    await session.execute(delete(RecoveryCode).where(col(RecoveryCode.user_id) == user.id))


async def count_recovery_codes(session: AsyncSession, user: User) -> int:
    count = select(func.count()).select_from(RecoveryCode).where(col(RecoveryCode.user_id) == user.id)
    return await session.scalar(count) or 0


async def use_recovery_code(session: AsyncSession, user: User, code: str) -> bool:
    """Delete the code, and return whether the user had it."""
    conditions = (col(RecoveryCode.user_id) == user.id, col(RecoveryCode.code_hash) == _hash(code))
    return await session.scalar(delete(RecoveryCode).where(*conditions).returning(col(RecoveryCode.id))) is not None


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode(errors="replace")).hexdigest()


def format_in_groups(text: str, size: int, separator: str) -> str:
    return separator.join(text[start : start + size] for start in range(0, len(text), size))
