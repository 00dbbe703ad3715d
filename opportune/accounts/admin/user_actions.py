"""Changes of users by staff: their rules and records, and the actions on selected users."""

from typing import Any

from sqladmin import action
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from opportune.accounts.admin.groups import has_more_permissions
from opportune.accounts.dependencies import make_account_context
from opportune.accounts.events.service import record_event
from opportune.accounts.flows.two_factor import reset_two_factor
from opportune.accounts.models import User
from opportune.accounts.users.hooks import force_deactivation
from opportune.accounts.users.queries import delete_all_sessions, lock_superusers
from opportune.admin.authorization import is_superuser, may_change_user
from opportune.admin.errors import ValidationRefused
from opportune.admin.row_writer import RowAction
from opportune.admin.views import AdminView
from opportune.i18n import gettext
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


def record_staff_change(session: AsyncSession, request: Request, user: User, event: str, **details: Any) -> None:
    """Record an account event of a change by staff, and notify the owner of the account."""
    record_event(make_account_context(request, session), user, event, by=request.state.user, **details)


class UserActionsMixin(AdminView):
    """The actions on users, as a part of `UserAdmin`."""

    _confirmed_actions = ("reset-two-factor",)

    def _actions_for(self, request: Request, row: User) -> dict[str, str]:
        inapplicable = {"activate"} if row.is_active else {"deactivate", "force-deactivation"}
        if not row.has_two_factor:
            inapplicable.add("reset-two-factor")
        actions = super()._actions_for(request, row) if may_change_user(request, row) else {}
        return {slug: label for slug, label in actions.items() if slug not in inapplicable}

    @action("activate", "Activate")
    async def activate(self, request: Request) -> Response:
        async def activate_user(_session: AsyncSession, user: User) -> None:
            user.is_active = True

        return await self._apply(request, "activate", activate_user, gettext("may sign in again"), fields=["Active"])

    @action("deactivate", "Deactivate", "These users are signed out everywhere and cannot sign in.")
    async def deactivate(self, request: Request) -> Response:
        return await self._deactivate(request, "deactivate")

    @action(
        "force-deactivation",
        "Force deactivation",
        "These users are signed out everywhere, even if a feature needs the account, such as the owner of a team.",
    )
    async def force_deactivation(self, request: Request) -> Response:
        return await self._deactivate(request, "force-deactivation", is_forced=True)

    async def _deactivate(self, request: Request, slug: str, *, is_forced: bool = False) -> Response:
        async def deactivate_user(session: AsyncSession, user: User) -> None:
            await check_superuser_remains(session, user, request, OWN_PRIVILEGES)
            if is_forced:
                force_deactivation(session)
            user.is_active = False

        return await self._apply(request, slug, deactivate_user, gettext("can no longer sign in"), fields=["Active"])

    @action("sign-out", "Sign out everywhere", "Browsers and programs have to sign in again.")
    async def sign_out(self, request: Request) -> Response:
        result = gettext("signed out everywhere")
        return await self._apply(request, "sign-out", delete_all_sessions, result, event="all_sessions_ended")

    @action("reset-two-factor", "Reset two-factor", "Afterwards a password is enough to sign in.")
    async def reset_two_factor(self, request: Request) -> Response:
        result = gettext("has no second factor anymore")
        return await self._apply(request, "reset-two-factor", reset_two_factor, result, event="two_factor_off")

    async def _apply(
        self,
        request: Request,
        slug: str,
        change: RowAction,
        result: str,
        *,
        event: str = "updated_by_staff",
        **details: Any,
    ) -> Response:
        """Change the selected users, and record an account event of each with these details."""

        async def check_and_change(session: AsyncSession, user: User) -> None:
            await check_may_change(session, user, request)
            await change(session, user)
            record_staff_change(session, request, user, event, **details)

        return await self.apply_to_selected(request, slug, check_and_change, result)
