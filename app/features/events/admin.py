import re
import unicodedata
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from markupsafe import Markup, escape
from sqladmin import Flash, action
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import async_object_session
from sqlmodel import col
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.accounts import redirects
from app.admin.formatters import NOTHING
from app.admin.forms import AdminForm
from app.admin.references import parse_id
from app.admin.refusals import Refused
from app.admin.views import AdminView
from app.core.jobs import defer
from app.core.storage import StorageError
from app.features.events.jobs import delete_photos
from app.features.events.models import Event, Registration

TOGGLE = Markup(
    '<form method="post" action="{address}"><button class="btn btn-icon btn-sm btn-ghost-secondary"'
    ' title="{label}" aria-label="{label}"><i class="ti ti-{icon}"></i></button></form>'
)
# What a click does, in words, and how it is before.
CAME, WENT = ("check-in", "is here", "x"), ("check-out", "is not here", "check text-green")
PHOTO = Markup('<a href="{address}"><img class="rounded" src="{address}" alt="Photo" width="200"></a>')


class EventAdmin(AdminView, model=Event):
    column_list = ("title", "starts_at", "place", "capacity", "is_published")
    column_searchable_list = ("title", "summary", "place")
    column_filters = ("starts_at", "is_published")
    column_default_sort = ("starts_at", True)
    form_args = {  # noqa: RUF012 - SQLAdmin's way to declare
        "slug": {"description": "The end of its address. Left empty, it is made of the title."},
        "description": {"description": "Markdown."},
        "link": {"lines": False, "description": "Of a meeting online. Only those who are registered get it."},
    }
    icon, category = "ti ti-calendar-event", "Events"

    def links(self, request: Request, row: Event) -> Sequence[tuple[str, str]]:
        attendees = request.url_for("admin:list", identity="registration").include_query_params(event_id=row.id)
        page = [("Page", f"/events/{row.slug}")] if row.is_published else []
        return [*page, ("Attendees", str(attendees))]

    def clean(self, form: AdminForm, row: Any) -> dict[str, Any]:
        values = super().clean(form, row)
        values["title"] = " ".join(values["title"].split())  # it becomes the subject of letters
        values["slug"] = slug_of(values["slug"] or values["title"])
        if not values["slug"]:
            raise Refused("Please choose a name for its address.", "slug")
        if values["ends_at"] <= values["starts_at"]:
            raise Refused("It ends before it starts.", "ends_at")
        if values["link"] and not re.fullmatch(r"https?://\S+", values["link"]):
            raise Refused("This is no address, such as https://meet.example.com/tea.", "link")
        return values

    async def on_model_delete(self, model: Event, request: Request) -> None:
        if session := async_object_session(model):
            gone = delete(Registration).where(col(Registration.event_id) == model.id)
            photos = await session.scalars(gone.returning(col(Registration.photo)))
            if kept := [photo for photo in photos if photo]:
                defer(session, delete_photos(kept))


class RegistrationAdmin(AdminView, model=Registration):
    name, name_plural = "Attendee", "Attendees"
    column_list = ("name", "is_present", "email", "event_id", "group", "created_at")
    column_searchable_list = ("name", "email", "organisation")
    column_filters = ("event_id", "group", "is_present", "created_at")
    column_labels = {"email": "E-mail"}  # noqa: RUF012 - SQLAdmin's way to declare
    column_export_exclude_list = ["photo"]  # noqa: RUF012 - SQLAdmin's way to declare
    readonly_columns = ("photo", "created_at")
    icon, category = "ti ti-ticket", "Events"

    def clean(self, form: AdminForm, row: Any) -> dict[str, Any]:
        values = super().clean(form, row)
        return {**values, "email": values["email"].lower()}

    async def on_model_delete(self, model: Registration, request: Request) -> None:
        session = async_object_session(model)
        if session and model.photo:
            # A job may just put another there.
            await session.refresh(model, ["photo"], with_for_update=True)
            defer(session, delete_photos([model.photo]))

    async def get_list_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if prop == "is_present" and request:
            return obj.is_present, self._toggle(obj, request)
        return await super().get_list_value(obj, prop, request)

    def _toggle(self, row: Registration, request: Request) -> Markup:
        """A click at the door. A form of its own, so that it works without JavaScript."""
        slug, label, icon = WENT if row.is_present else CAME
        address = f"{self._url_for_action(request, slug)}?pks={row.id}"
        return TOGGLE.format(address=address, label=f"{row.name} {label}", icon=icon)

    async def get_detail_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if prop == "photo" and request:
            return obj.photo, await self._photo(obj.photo, request)
        return await super().get_detail_value(obj, prop, request)

    @staticmethod
    async def _photo(name: str, request: Request) -> Markup:
        if not name:
            return NOTHING
        try:
            address = await request.app.state.storage.url(name)
        except StorageError as error:
            return escape(error)
        return PHOTO.format(address=address)

    # SQLAdmin shows them from the last to the first.
    @action("check-out", "Is not here")
    async def check_out(self, request: Request) -> Response:
        return await self._mark(request, is_present=False)

    @action("check-in", "Is here")
    async def check_in(self, request: Request) -> Response:
        return await self._mark(request, is_present=True)

    async def _mark(self, request: Request, *, is_present: bool) -> Response:
        try:
            numbers = [parse_id(pk) for pk in request.query_params.get("pks", "").split(",") if pk]
        except ValueError:
            raise HTTPException(404) from None
        chosen = update(Registration).where(col(Registration.id).in_(numbers))
        change = chosen.values(is_present=is_present).returning(col(Registration.id))
        async with self._admin_ref.database.writer() as session:
            changed = len((await session.execute(change)).all())
        who = "1 attendee is" if changed == 1 else f"{changed} attendees are"
        Flash.success(request, f"{who} {'here' if is_present else 'not here'}.")
        came_from = urlsplit(request.headers.get("referer", ""))
        attendees = str(request.url_for("admin:list", identity=self.identity))
        back = redirects.local(urlunsplit(("", "", came_from.path, came_from.query, "")), attendees)
        return RedirectResponse(back, 303)


def slug_of(title: str) -> str:
    """A title as a part of an address: "Çay & Python 3.14" is "cay-python-3-14"."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:80].strip("-")
