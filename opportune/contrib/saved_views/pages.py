"""Saved views in the lists and in the menu of the admin, and pages that open, add, change and delete them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

from pydantic import Field
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.accounts.models import User
from opportune.admin.errors import ValidationRefused
from opportune.admin.extensions import AdminExtension, MenuLink, ModelPage, Slot
from opportune.admin.lists.actions import list_url, redirect_with_error
from opportune.admin.models import REPORT_PARAMETER, DefaultView, SavedView
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView
from opportune.contrib.saved_views import queries
from opportune.db.clock import utc_now
from opportune.db.constraint_errors import translate_database_errors
from opportune.errors import FieldErrors, require_found
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.schemas import Schema
from opportune.schemas.text import Line
from opportune.web import Form
from opportune.web.forms.forms import fill_form
from opportune.web.rendering.flash import flash

MAX_VIEWS_PER_USER = 200
DUPLICATE_NAME = _l("You already have a view with this name. Choose another name, or update that view.")
TOO_MANY = _l("You have %(num)s views. Delete one first.")
OPENED_WITHOUT = _l("“%(name)s” was opened without %(missing)s: the list no longer has this.")
NAME_LENGTH = 60


class ViewDetails(Schema):
    name: Line = Field(min_length=1, max_length=NAME_LENGTH)
    group_id: int | None = Field(
        None, title="Share with", description="Members of the group can open the view. Only you can change it."
    )
    is_pinned: bool = Field(False, title="Show in the menu")
    schedule: Literal["never", "daily", "weekly", "monthly"] = Field(
        "never", title="Send by e-mail", description="You get the rows that you may see at that time."
    )


async def open_view(request: Request, view: AdminView) -> Response:
    """Open the list with the state of a saved view, without columns and filters that no longer exist."""
    return open_list(request, view, await _find(request, view))


def open_list(request: Request, view: AdminView, saved: SavedView) -> Response:
    """Redirect to the list or report with the state of a saved view. Tell the user which parts no longer exist."""
    restored = queries.restore_list_state(request, view, saved.query)
    if missing := ", ".join(restored.missing):
        flash(request, gettext(OPENED_WITHOUT, name=saved.name, missing=missing), "warning")
    is_report = any(name == REPORT_PARAMETER for name, _ in restored.params)  # and the feature is installed
    url = request.url_for("admin:report" if is_report else "admin:list", identity=view.identity)
    return RedirectResponse(f"{url}?{urlencode([*restored.params, ('view', saved.id)])}", 303)


async def create_view(request: Request, view: AdminView) -> Response:
    """Show the form for a new view with the state in the URL, or save it."""
    user: User = request.state.user
    saved = await queries.load_saved_views(request)
    try:
        if sum(row.owner_id == user.id for row in saved.views) >= MAX_VIEWS_PER_USER:
            raise ValidationRefused(gettext(TOO_MANY, num=MAX_VIEWS_PER_USER))
        row = SavedView(owner_id=user.id, identity=view.identity, name="", query=queries.read_list_state(request, view))
    except FieldErrors as refusal:
        return redirect_with_error(request, view, str(refusal))
    return await _form_page(request, view, row)


async def edit_view(request: Request, view: AdminView) -> Response:
    return await _form_page(request, view, await _find_own(request, view))


async def _form_page(request: Request, view: AdminView, row: SavedView) -> Response:
    async with view.site.database.reader(fresh=True) as session:
        groups = await queries.read_shareable_groups(session, request.state.user)
    form = Form(ViewDetails, row, choices={"group_id": groups})
    form.none_label = gettext("Nobody")
    unused = [] if groups else ["group_id"]
    if not row.is_report:
        unused.append("schedule")
    form.leave_out(unused)
    if request.method == "POST":
        await fill_form(request, form)
    if form.data:
        try:
            return await _save(request, view, row, form.data)
        except FieldErrors as refusal:
            form.refuse(DUPLICATE_NAME if "name" in refusal.errors else str(refusal), "name")
    context = {"form": form, "saved": row, "list": list_url(request, view)}
    return await render_page(request, view, "saved_views/form.html", context, form.status)


async def _save(request: Request, view: AdminView, row: SavedView, details: ViewDetails) -> Response:
    async with view.site.database.writer() as session:
        with translate_database_errors(SavedView.__table__):  # type: ignore[attr-defined]  # set by SQLAlchemy
            row = await _lock(session, row) if row.id else row
            if details.schedule != row.schedule:
                row.sent_on = utc_now().date()  # the first e-mail comes when the next period begins
            row.sqlmodel_update(details.model_dump())
            session.add(row)
            await session.flush()
    message = _l("The report “%(name)s” was saved.") if row.is_report else _l("The view “%(name)s” was saved.")
    flash(request, gettext(message, name=row.name))
    return open_list(request, view, row)


async def update_view(request: Request, view: AdminView) -> Response:
    """Store the state in the URL as the new state of the view."""
    row = await _find_own(request, view)
    try:
        state = queries.read_list_state(request, view)
    except FieldErrors as refusal:
        return redirect_with_error(request, view, str(refusal))
    async with view.site.database.writer() as session:
        row = await _lock(session, row)
        row.query = state
    flash(request, gettext("The view “%(name)s” was updated.", name=row.name))
    return open_list(request, view, row)


async def delete_view(request: Request, view: AdminView) -> Response:
    row = await _find_own(request, view)
    async with view.site.database.writer() as session:
        await session.execute(delete(SavedView).where(col(SavedView.id) == row.id))  # it may be deleted already
    flash(request, gettext("The view “%(name)s” was deleted.", name=row.name))
    return RedirectResponse(request.url_for("admin:list", identity=view.identity), 303)


async def toggle_default_view(request: Request, view: AdminView) -> Response:
    """Open this view by default from now on, or no longer."""
    row = await _find(request, view)
    is_default = row.id in (await queries.load_saved_views(request)).default_ids
    try:
        with translate_database_errors(DefaultView.__table__):  # type: ignore[attr-defined]  # set by SQLAlchemy
            async with view.site.database.writer() as session:
                new_default = None if is_default else row.id
                await queries.set_default_view(session, request.state.user, view.identity, new_default)
    except FieldErrors:  # the view was deleted at the same time, or chosen twice
        raise HTTPException(409, gettext("This view was changed at the same time. Please try again.")) from None
    start = gettext("the plain list") if is_default else gettext("“%(text)s”", text=row.name)
    flash(request, gettext("%(name_plural)s now open with %(what)s.", name_plural=view.name_plural, what=start))
    return open_list(request, view, row)


async def _lock(session: AsyncSession, row: SavedView) -> SavedView:
    """Load a view and lock it.

    Raises:
        NotFound: It was deleted at the same time.
    """
    return require_found(await session.get(SavedView, row.id, with_for_update=True))


async def _find(request: Request, view: AdminView) -> SavedView:
    """Return the view in the URL for opening it.

    Raises:
        HTTPException: It was deleted, or the user may not open it.
    """
    saved = await queries.load_saved_views(request)
    if row := saved.find(view.identity, request.path_params["view_id"]):
        return row
    raise HTTPException(404, gettext("This saved view was deleted, or is no longer shared with you."))


async def _find_own(request: Request, view: AdminView) -> SavedView:
    """Return the view in the URL for changing it.

    Raises:
        HTTPException: It was deleted, or belongs to another user.
    """
    row = await _find(request, view)
    if row.owner_id != request.state.user.id:
        raise HTTPException(403, "Only the owner of a view can change it. Save a view of your own instead.")
    return row


class SavedViewsExtension(AdminExtension):
    """Adds the views to lists and to the menu, and opens the default view of a list."""

    pages = (
        ModelPage("views/add", create_view, ["GET", "POST"], "create-view"),
        ModelPage("views/{view_id}", open_view, ["GET"], "open-view"),
        ModelPage("views/{view_id}/edit", edit_view, ["GET", "POST"], "edit-view"),
        ModelPage("views/{view_id}/update", update_view, ["POST"], "update-view"),
        ModelPage("views/{view_id}/delete", delete_view, ["POST"], "delete-view"),
        ModelPage("views/{view_id}/default", toggle_default_view, ["POST"], "default-view"),
    )
    slots: ClassVar[Mapping[Slot, str]] = {"list_bar": "saved_views/bar.html", "list_tools": "saved_views/tools.html"}
    list_parameters = ("view",)

    async def open_list(self, request: Request, view: Any) -> Response | None:
        """Open the user's default view."""
        default = (await queries.load_saved_views(request)).default(view.identity)
        return open_list(request, view, default) if default else None

    async def plain_list_url(self, request: Request, view: Any) -> str:
        default = (await queries.load_saved_views(request)).default(view.identity)
        return f"{request.url.path}?view={queries.PLAIN}" if default else ""

    async def menu_links(self, request: Request) -> Mapping[str, Sequence[MenuLink]]:
        links: dict[str, list[MenuLink]] = {}
        current = request.path_params.get("identity"), request.query_params.get("view")
        for saved in (await queries.load_saved_views(request)).views:
            if saved.is_pinned:
                url = str(request.url_for("admin:open-view", identity=saved.identity, view_id=saved.id))
                link = MenuLink(saved.name, url, (saved.identity, str(saved.id)) == current)
                links.setdefault(saved.identity, []).append(link)
        return links

    list_state = staticmethod(queries.read_state)
