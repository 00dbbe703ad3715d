"""Demo users for the admin. Their names and addresses are invented, and they cannot sign in."""

import secrets
from datetime import UTC, datetime

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
UNVERIFIED = {f"jun.takahara@{DOMAIN}", f"leilani.moore@{DOMAIN}"}
DEACTIVATED = {f"oskar.brandvold@{DOMAIN}"}

FIRST_CREATED_AT = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)
demo_users = DemoRows(User, EMAILS, FIRST_CREATED_AT)
# Users of older releases are from January 2026, without a mark. Real users may have these times or addresses.
is_former = col(User.email).in_(EMAILS) & (col(User.created_at) < datetime(2026, 2, 1, tzinfo=UTC))
is_demo_user = demo_users.is_marked | is_former


async def load(session: AsyncSession) -> int:
    """Add the missing demo users and return their number."""
    existing_emails = set(await session.scalars(select(col(User.email)).where(col(User.email).in_(EMAILS))))
    missing = [user for user in await demo_users.missing(session) if user[1] not in existing_emails]
    if not missing:
        return 0
    unknown_password = await hashing.hash_password(secrets.token_urlsafe(32))
    session.add_all(
        User(
            email=email,
            hashed_password=unknown_password,
            is_active=email not in DEACTIVATED,
            is_verified=email not in UNVERIFIED,
            created_at=created_at,
        )
        for created_at, email in missing
    )
    return len(missing)


async def demo_owner(session: AsyncSession, rows: str) -> User:
    """Return the first active superuser, to own the demo rows of a feature.

    Args:
        session: A session of the site's database.
        rows: Name of the demo rows for the error message, such as "the to-dos".

    Raises:
        OperatorError: The site has no active superuser.
    """
    superusers = select(User).filter_by(is_superuser=True, is_active=True).order_by(col(User.id))
    user = await session.scalar(superusers.limit(1))
    if user is None:
        raise OperatorError(f"The demo needs a superuser for {rows}. Run: python3 oppman.py createsuperuser")
    return user


async def clear(session: AsyncSession) -> int:
    """Delete the demo users and return their number."""
    users = (await session.scalars(select(User).where(is_demo_user))).all()
    for user in users:
        await session.delete(user)
    return len(users)
