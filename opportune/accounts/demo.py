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
    "mara.lindqvist", "tomas.okonkwo", "ines.valverde", "jun.takahara",
    "amira.benhaddou", "piotr.zalewski-reyes", "leilani.moore", "oskar.brandvold",
)  # fmt: skip
# RFC 2606 reserves this domain for examples.
EMAILS = [f"{name}@made-up.example" for name in NAMES]
UNVERIFIED_NAMES, DEACTIVATED_NAMES = {"jun.takahara", "leilani.moore"}, {"oskar.brandvold"}

# Demo users are recognised by their creation time, because real accounts are never created at these past times.
CREATION_TIMES = [datetime(2026, 1, 5 + day, 8, 30, tzinfo=UTC) for day in range(len(NAMES))]
is_demo_user = col(User.created_at).in_(CREATION_TIMES)


async def load(session: AsyncSession) -> int:
    rows = await session.execute(
        select(col(User.email), col(User.created_at)).where(is_demo_user | col(User.email).in_(EMAILS))
    )
    existing = {value for row in rows for value in row}
    missing = [user for user in zip(NAMES, EMAILS, CREATION_TIMES, strict=True) if existing.isdisjoint(user)]
    if not missing:
        return 0
    unknown_password = await hashing.hash_password(secrets.token_urlsafe(32))
    session.add_all(
        User(
            email=email,
            hashed_password=unknown_password,
            is_active=name not in DEACTIVATED_NAMES,
            is_verified=name not in UNVERIFIED_NAMES,
            created_at=created_at,
        )
        for name, email, created_at in missing
    )
    return len(missing)


async def demo_owner(session: AsyncSession, rows: str) -> User:
    """Return the first superuser, to own the demo rows of a feature.

    Args:
        session: A session of the site's database.
        rows: Name of the demo rows for the error message, such as "The to-dos".

    Raises:
        OperatorError: the site has no superuser.
    """
    user = await session.scalar(select(User).where(col(User.is_superuser)).order_by(col(User.id)).limit(1))
    if user is None:
        name = f"{rows[:1].lower()}{rows[1:]}"
        raise OperatorError(f"The demo needs a superuser for {name}. Run: python3 oppman.py createsuperuser")
    return user


async def clear(session: AsyncSession) -> int:
    users = (await session.scalars(select(User).where(is_demo_user))).all()
    for user in users:
        await session.delete(user)
    return len(users)
