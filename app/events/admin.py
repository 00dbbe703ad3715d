"""Admin views of events and their attendees, with check-in."""

from typing import Any

from markupsafe import Markup
from sqladmin import action
from sqladmin.authorization import custom_action
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import Response

from app.events.models import Event, Registration
from app.events.service import delete_registrations
from opportune.admin import AdminForm, AdminView, ValidationRefused, selection_query
from opportune.i18n import gettext as _
from opportune.web import form_user

TOGGLE_FORM = Markup(
    '<form method="post" action="{url}">{user}<button class="btn btn-icon btn-sm btn-ghost-secondary"'
    ' title="{label}" aria-label="{label}" aria-pressed="{pressed}"><i class="ti {icon}"></i></button></form>'
)
CHECK_IN, CHECK_OUT = "check-in", "check-out"
"""Slugs of the actions."""


class EventAdmin(AdminView, model=Event):
    columns = ("title", "starts_at", "place", "capacity", "is_published")
    search = ("title", "summary", "place")
    filters = ("starts_at", "is_published")
    order = ("-starts_at",)
    can_import = True
    fieldsets = (
        ("What", ("title", "slug", "summary", "description")),
        ("When and where", ("starts_at", "ends_at", "place", "link")),
        ("Who", ("capacity", "is_published")),
    )
    prepopulated = {"slug": "title"}
    save_as = True
    icon, category = "ti ti-calendar-event", "Events"

    def site_url(self, row: Event) -> str:
        return f"/events/{row.slug}" if row.is_published else ""

    def clean(self, form: AdminForm, row: Any) -> dict[str, Any]:
        values = super().clean(form, row)
        values["title"] = " ".join(values["title"].split())  # used as the subject of e-mails
        if values["ends_at"] <= values["starts_at"]:
            raise ValidationRefused("It ends before it starts.", "ends_at")
        return values

    async def before_delete(self, session: AsyncSession, row: Event, request: Request) -> None:
        await delete_registrations(session, col(Registration.event_id) == row.id)


class RegistrationAdmin(AdminView, model=Registration):
    name, plural = "Attendee", "Attendees"
    columns = ("name", "is_present", "email", "event_id", "group", "created_at")
    search = ("name", "email", "organisation")
    filters = ("event_id", "group", "is_present", "created_at")
    column_labels = {"email": "E-mail"}
    column_export_exclude_list = ["photo"]
    icon, category = "ti ti-ticket", "Events"

    def clean(self, form: AdminForm, row: Any) -> dict[str, Any]:
        values = super().clean(form, row)
        return {**values, "email": values["email"].lower()}

    async def get_list_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if prop == "is_present" and request and (toggle := self._toggle(obj, request)):
            return obj.is_present, toggle
        return await super().get_list_value(obj, prop, request)

    def _toggle(self, row: Registration, request: Request) -> Markup:
        """Render the check-in button for staff with permission. It is a form, so it works without JavaScript.

        The icon and `aria-pressed` show the current state.
        """
        slug = CHECK_OUT if row.is_present else CHECK_IN
        icon = "ti-check text-green" if row.is_present else "ti-x"
        if not self.has_permission(request, custom_action(slug)):
            return Markup("")
        url = f"{request.url_for(f'admin:action-{self.identity}-{slug}')}?{selection_query(request, row.id)}"
        label = _("%(name)s is here", name=row.name)
        pressed = str(row.is_present).lower()
        return TOGGLE_FORM.format(url=url, user=form_user(), label=label, pressed=pressed, icon=icon)

    # SQLAdmin shows actions in reverse order.
    @action(CHECK_OUT, "Is not here")
    async def check_out(self, request: Request) -> Response:
        return await self._set_presence(request, CHECK_OUT, _("not here"), is_present=False)

    @action(CHECK_IN, "Is here")
    async def check_in(self, request: Request) -> Response:
        return await self._set_presence(request, CHECK_IN, _("here"), is_present=True)

    async def _set_presence(self, request: Request, slug: str, label: str, *, is_present: bool) -> Response:
        async def set_presence(_session: AsyncSession, registration: Registration) -> None:
            registration.is_present = is_present

        return await self.apply_to_selected(request, slug, set_presence, label)
