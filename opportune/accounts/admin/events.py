"""Account events: the record of changes by staff, and the list of all events for superusers."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.accounts.dependencies import make_account_context
from opportune.accounts.events.service import describe_event, record_event
from opportune.accounts.models import AccountEvent, User
from opportune.admin.authorization import SuperuserOnly
from opportune.admin.views import AdminView
from opportune.web.client import describe_user_agent

EVENTS_OF_ACTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "activate": ("updated_by_staff", {"fields": "Active"}),
    "deactivate": ("updated_by_staff", {"fields": "Active"}),
    "force-deactivation": ("updated_by_staff", {"fields": "Active"}),
    "sign-out": ("all_sessions_ended", {}),
    "reset-two-factor": ("two_factor_off", {}),
}


def record_staff_change(session: AsyncSession, request: Request, user: User, event: str, **details: Any) -> None:
    """Record an account event of a change by staff, and notify the owner of the account."""
    record_event(make_account_context(request, session), user, event, by=request.state.user, **details)


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
