"""Views of accounts in the admin, in the order of the menu."""

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.accounts.admin.groups import GroupAdmin
from opportune.accounts.admin.user_actions import record_staff_change
from opportune.accounts.admin.users import UserAdmin
from opportune.accounts.events.service import describe_event
from opportune.accounts.models import AccountEvent, ApiToken, LinkedAccount, Membership, Passkey, Session, User
from opportune.accounts.reauthentication import get_confirmed_user
from opportune.accounts.sessions.service import describe_session_device
from opportune.admin.authorization import SuperuserOnly
from opportune.admin.views import AdminView
from opportune.web.client import describe_user_agent


async def record_change(session: AsyncSession, request: Request, user_id: int, event: str, **details: object) -> None:
    """Record that staff changes a row of a user, as an event of this account."""
    record_staff_change(session, request, await session.get_one(User, user_id), event, **details)


class SessionAdmin(SuperuserOnly, AdminView, model=Session):
    """Browser sessions. Deleting a session signs its browser out."""

    columns = ("id", "user_id", "agent", "address", "created_at", "seen_at")
    column_labels = {"agent": "Device"}
    column_formatters = {"agent": lambda row, _: describe_session_device(row)}
    search = ("address", "agent")
    filters = ("user_id", "created_at", "seen_at", "expires_at")
    can_create = can_edit = False
    icon, category = "ti ti-devices", "Accounts"

    async def before_delete(self, session: AsyncSession, row: Session, request: Request) -> None:
        await record_change(session, request, row.user_id, "session_ended", device=describe_session_device(row))


class TokenAdmin(SuperuserOnly, AdminView, model=ApiToken):
    """API tokens. A program whose token is deleted loses access."""

    name, plural = "API token", "API tokens"
    columns = ("name", "user_id", "hint", "scopes", "used_at", "expires_at")
    search = ("name",)
    filters = ("user_id", "created_at", "used_at", "expires_at")
    can_create = can_edit = False
    icon, category = "ti ti-key", "Accounts"

    async def before_delete(self, session: AsyncSession, row: ApiToken, request: Request) -> None:
        await record_change(session, request, row.user_id, "token_revoked", name=row.name)


class LinkedAccountAdmin(SuperuserOnly, AdminView, model=LinkedAccount):
    """Accounts at identity providers. Only their owner can change them."""

    name, plural = "Linked account", "Linked accounts"
    columns = ("id", "user_id", "issuer", "email", "created_at")
    search = ("issuer", "subject", "email")
    filters = ("user_id", "issuer", "created_at")
    can_create = can_edit = can_delete = False
    icon, category = "ti ti-link", "Accounts"


class PasskeyAdmin(SuperuserOnly, AdminView, model=Passkey):
    """Passkeys. Delete the passkey of a lost device, so that the device can no longer sign in."""

    columns = ("id", "user_id", "name", "created_at", "used_at")
    fields = ("id", "user_id", "name", "verifies_user", "is_synced", "transports", "created_at", "used_at")
    column_labels = {"verifies_user": "Verifies the user", "is_synced": "Synced"}
    search = ("name",)
    filters = ("user_id", "created_at", "used_at")
    can_create = can_edit = False
    icon, category = "ti ti-fingerprint", "Accounts"

    async def before_delete(self, session: AsyncSession, row: Passkey, request: Request) -> None:
        await record_change(session, request, row.user_id, "passkey_deleted", name=row.name)


class EventAdmin(SuperuserOnly, AdminView, model=AccountEvent):
    """The account events that owners also see on their account page."""

    name, plural = "Account event", "Account events"
    columns = ("created_at", "user_id", "kind", "address", "agent", "actor_id")
    fields = (*columns, "details")
    column_labels = {"created_at": "When", "kind": "Activity", "agent": "Device", "actor_id": "Staff"}
    column_formatters = {
        "kind": lambda row, _: describe_event(row),
        "agent": lambda row, _: describe_user_agent(row.agent) if row.agent else "",
    }
    search = ("address", "agent")
    filters = ("user_id", "kind", "created_at")
    order = ("-id",)
    can_create = can_edit = can_delete = False
    _has_history = False
    icon, category = "ti ti-history", "Accounts"


class MembershipAdmin(SuperuserOnly, AdminView, model=Membership):
    """Members of groups, for superusers only. Other staff could join a group with more permissions than their own."""

    name, plural = "Membership", "Memberships"
    columns = ("user_id", "group_id")
    can_edit = False
    icon, category = "ti ti-user-plus", "Accounts"

    async def before_save(self, session: AsyncSession, row: Membership, request: Request, *, is_created: bool) -> None:
        await get_confirmed_user(request, request.state.user)
        await record_change(session, request, row.user_id, "updated_by_staff", fields=["Groups"])

    async def before_delete(self, session: AsyncSession, row: Membership, request: Request) -> None:
        await record_change(session, request, row.user_id, "updated_by_staff", fields=["Groups"])


VIEWS = (UserAdmin, SessionAdmin, TokenAdmin, LinkedAccountAdmin, PasskeyAdmin, EventAdmin, GroupAdmin, MembershipAdmin)
