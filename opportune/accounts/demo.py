"""Demo users for the admin. Their names and addresses are invented, and they cannot sign in."""

import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.accounts.passwords import hashing
from opportune.db import DemoRows
from opportune.errors import OperatorError

NAMES = (
    "mara.lindqvist", "tomas.okonkwo", "ines.valverde", "jun.takahara",
    "amira.benhaddou", "piotr.zalewski-reyes", "leilani.moore", "oskar.brandvold",
)  # fmt: skip
# RFC 2606 reserves this domain for examples.
DOMAIN = "made-up.example"
EMAILS = [f"{name}@{DOMAIN}" for name in NAMES]
UNVERIFIED_NAMES = {"jun.takahara", "leilani.moore"}
DEACTIVATED_NAMES = {"oskar.brandvold"}

FIRST_CREATED_AT = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)
demo_users = DemoRows(User, NAMES, FIRST_CREATED_AT)
# Users of older releases were a day apart.
former_times = [FIRST_CREATED_AT + timedelta(day) for day in range(len(NAMES))]
is_demo_user = demo_users.condition | col(User.created_at).in_(former_times)


async def load(session: AsyncSession) -> int:
    """Add the missing demo users and return their number."""
    existing_emails = set(await session.scalars(select(col(User.email)).where(col(User.email).in_(EMAILS))))
    users = [(time, name, f"{name}@{DOMAIN}") for time, name in await demo_users.missing(session)]
    missing = [user for user in users if user[-1] not in existing_emails]
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
        for created_at, name, email in missing
    )
    return len(missing)


async def demo_owner(session: AsyncSession, rows: str) -> User:
    """Return the first superuser, to own the demo rows of a feature.

    Args:
        session: A session of the site's database.
        rows: Name of the demo rows for the error message, such as "the to-dos".

    Raises:
        OperatorError: The site has no superuser.
    """
    user = await session.scalar(select(User).where(col(User.is_superuser)).order_by(col(User.id)).limit(1))
    if user is None:
        raise OperatorError(f"The demo needs a superuser for {rows}. Run: python3 oppman.py createsuperuser")
    return user


async def clear(session: AsyncSession) -> int:
    """Delete the demo users and return their number."""
    users = (await session.scalars(select(User).where(is_demo_user))).all()
    for user in users:
        await session.delete(user)
    return len(users)
