"""Writes down what was done in the admin, in the transaction that does it: neither is there without the other."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from app.accounts.models import User
from app.admin.models import AuditEntry
from app.core.web.throttle import address_of


def record(
    session: AsyncSession,
    request: Request,
    action: str,
    identity: str,
    *,
    row_id: object = "",
    title: str = "",
    changes: dict[str, Any] | None = None,
) -> None:
    """Add an entry to this writing session. `changes` tells by column what was before and after: [before, after]."""
    user: User = request.state.user
    session.add(
        AuditEntry(
            actor_id=user.id,
            actor=user.email,
            action=action,
            identity=identity,
            row_id=str(row_id),
            title=title[:200],
            changes=changes or {},
            address=address_of(request)[:64],
        )
    )
