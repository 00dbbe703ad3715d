"""Actions of staff on selected users: activate, deactivate, sign out and reset the second factor."""

from sqladmin import action
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from opportune.accounts.admin.events import EVENTS_OF_ACTIONS, record_staff_change
from opportune.accounts.admin.user_rules import OWN_PRIVILEGES, check_may_change, check_superuser_remains
from opportune.accounts.models import User
from opportune.accounts.passkeys.service import reset_two_factor
from opportune.accounts.users.credentials import delete_all_sessions
from opportune.accounts.users.deactivation import force_deactivation
from opportune.admin.authorization import may_change_user
from opportune.admin.persistence.transactions import RowAction
from opportune.admin.views import AdminView
from opportune.i18n import gettext


class UserActionsMixin(AdminView):
    """The actions on users, as a part of `UserAdmin`."""

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

        return await self._apply(request, "activate", activate_user, gettext("may sign in again"))

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

        return await self._apply(request, slug, deactivate_user, gettext("can no longer sign in"))

    @action("sign-out", "Sign out everywhere", "Browsers and programs have to sign in again.")
    async def sign_out(self, request: Request) -> Response:
        return await self._apply(request, "sign-out", delete_all_sessions, gettext("signed out everywhere"))

    @action("reset-two-factor", "Reset two-factor", "Afterwards a password is enough to sign in.")
    async def reset_two_factor(self, request: Request) -> Response:
        return await self._apply(request, "reset-two-factor", reset_two_factor, gettext("has no second factor anymore"))

    async def _apply(self, request: Request, slug: str, change: RowAction, result: str) -> Response:
        async def check_and_change(session: AsyncSession, user: User) -> None:
            await check_may_change(session, user, request)
            await change(session, user)
            event, details = EVENTS_OF_ACTIONS[slug]
            record_staff_change(session, request, user, event, **details)

        return await self.apply_to_selected(request, slug, check_and_change, result)
