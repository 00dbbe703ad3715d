"""Checks before staff change or delete a user."""

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.accounts.admin.groups import has_more_permissions
from opportune.accounts.groups.service import lock_superusers
from opportune.accounts.models import User
from opportune.admin.authorization import is_superuser, may_change_user
from opportune.admin.errors import ValidationRefused
from opportune.i18n import gettext_lazy as _l

OWN_PRIVILEGES = _l("You cannot remove your own permissions. Ask another superuser.")
LAST_SUPERUSER = _l("This is the last active superuser.")
SUPERUSER_REQUIRED = _l("Only a superuser may change the account of a user with permissions.")


async def check_may_change(session: AsyncSession, user: User, request: Request) -> None:
    """Check a locked user again, who may have become staff after the page was rendered.

    Raises:
        ValidationRefused: Only a superuser may change this user. Members of groups with more permissions than the
            current user are protected, also if they are not staff.
    """
    if is_superuser(request):
        return
    if not may_change_user(request, user) or await has_more_permissions(session, request, user):
        raise ValidationRefused(SUPERUSER_REQUIRED)


async def check_superuser_remains(
    session: AsyncSession, user: User, request: Request, own_account_message: str, *fields: str
) -> None:
    """Raise ValidationRefused if users lock themselves out, or no active superuser would remain."""
    if user.id == request.state.user.id:
        raise ValidationRefused(own_account_message, *fields)
    if user.is_superuser and await lock_superusers(session) <= {user.id}:
        raise ValidationRefused(LAST_SUPERUSER, *fields)
