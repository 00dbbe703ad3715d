"""Demo users for the admin. Their names and addresses are invented, and they cannot sign in."""

import secrets
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.accounts.passwords import hashing
from opportune.errors import OperatorError

NAMES = (
    "mara.lindqvist",
    "tomas.okonkwo",
    "ines.valverde",
    "jun.takahara",
    "amira.benhaddou",
    "piotr.zalewski-reyes",
    "leilani.moore",
    "oskar.brandvold",
)
# RFC 2606 reserves this domain for examples.
EMAILS = [f"{name}@made-up.example" for name in NAMES]
UNVERIFIED, CLOSED = {"jun.takahara", "leilani.moore"}, {"oskar.brandvold"}

# Real accounts are created now, so times in the past mark the demo users permanently.
MARKS = [datetime(2026, 1, 5 + day, 8, 30, tzinfo=UTC) for day in range(len(NAMES))]
is_ours = col(User.created_at).in_(MARKS)


async def load(session: AsyncSession) -> int:
    rows = await session.execute(
        select(col(User.email), col(User.created_at)).where(is_ours | col(User.email).in_(EMAILS))
    )
    there = {value for row in rows for value in row}
    missing = [each for each in zip(NAMES, EMAILS, MARKS, strict=True) if there.isdisjoint(each)]
    if not missing:
        return 0
    unknown_password = await hashing.hash_password(secrets.token_urlsafe(32))
    session.add_all(
        User(
            email=email,
            hashed_password=unknown_password,
            is_active=name not in CLOSED,
            is_verified=name not in UNVERIFIED,
            created_at=mark,
        )
        for name, email, mark in missing
    )
    return len(missing)


async def demo_owner(session: AsyncSession, rows: str) -> User:
    """Return the first superuser, who owns the demo rows of a feature; `rows` names them, such as "The to-dos".

    Raises:
        OperatorError: there is no superuser.
    """
    user = await session.scalar(select(User).where(col(User.is_superuser)).order_by(col(User.id)).limit(1))
    if user is None:
        called = f"{rows[:1].lower()}{rows[1:]}"
        raise OperatorError(f"The demo needs a superuser for {called}. Run: python3 oppman.py createsuperuser")
    return user


async def clear(session: AsyncSession) -> int:
    users = (await session.scalars(select(User).where(is_ours))).all()
    for user in users:
        await session.delete(user)
    return len(users)
