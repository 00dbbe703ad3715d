"""Pages of the audit log: the list of all entries, and the history of one row."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from sqladmin import ModelView
from sqladmin.authorization import Action
from sqladmin.pagination import Pagination
from sqlalchemy import Select
from sqlmodel import col
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.authorization import may_edit_any, may_see_history
from opportune.admin.base import BaseAdminView
from opportune.admin.lists.columns import listed_columns
from opportune.admin.lists.filters import RunQuery
from opportune.admin.lists.row_keys import quote_key, row_by_key
from opportune.admin.log.audit import entries_of, is_by_user, is_limited, is_of_present_row, visible_entries
from opportune.admin.log.change_rows import Names, get_visible_changes, list_change_rows, load_reference_names
from opportune.admin.log.recording import keeps_history
from opportune.admin.models import AuditEntry
from opportune.admin.sqladmin_adapter import action_labels
from opportune.admin.templates import render_page
from opportune.admin.trash.pages import find_deleted
from opportune.admin.views import AdminView
from opportune.db.models.choices import choice_label
from opportune.db.models.row_ids import parse_row_id
from opportune.db.sessions.trash import with_deleted
from opportune.errors import require_found
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.text import shorten

ENTRIES_PER_PAGE = 30
MAX_LISTED_CHANGES = 3
"""Changes of an entry in the list."""
MAX_LISTED_VALUE = 60
"""Characters of a value in the list."""
ACTION_LABELS = {
    "create": _l("Create"),
    "update": _l("Edit"),
    "delete": _l("Delete"),
    "restore": _l("Restore"),
    "import": _l("Import"),
    "export": _l("Export"),
}
"""Labels as on buttons and in the table of permissions."""
CHANNELS = {
    "admin": _l("Admin"),
    "api": "API",
    "command": _l("Command"),
    "job": _l("Job"),
    "page": _l("Page"),
    "tool": _l("Tool"),
}
"""Labels of the first word of a channel. The name of a job or a tool follows it."""


class ModelFilter:
    """A filter by model, with the models whose rows the user may open as choices."""

    parameter_name = "identity"
    title = "Model"
    has_operator = False

    def __init__(self, view: "LogAdmin") -> None:
        self.view = view

    async def lookups(self, request: Request, model: Any, run_query: RunQuery) -> list[tuple[str, str]]:
        views = [view for view in self.view.site.views if isinstance(view, ModelView)]
        return sorted(
            ((view.identity, view.name_plural) for view in views if view.has_permission(request, Action.DETAILS)),
            key=lambda choice: choice[1],
        )

    async def get_filtered_query(self, query: Select[Any], value: str, model: Any) -> Select[Any]:
        return query.where(col(AuditEntry.identity) == value)


class ChannelFilter:
    """A filter by the first word of the channel."""

    parameter_name = "channel"
    title = "Channel"
    has_operator = False

    async def lookups(self, request: Request, model: Any, run_query: RunQuery) -> list[tuple[str, str]]:
        return [(type_, str(label)) for type_, label in CHANNELS.items()]

    async def get_filtered_query(self, query: Select[Any], value: str, model: Any) -> Select[Any]:
        channel = col(AuditEntry.channel)
        return query.where((channel == value) | channel.startswith(f"{value} ", autoescape=True))


class LogAdmin(AdminView, model=AuditEntry):
    """The audit log. It cannot be changed. Staff see the entries of rows that they may list and open."""

    name, plural = "Log entry", "Audit log"
    columns = ["at", "actor", "channel", "action", "identity", "title", "changes"]
    fields = [*columns, "address"]
    column_export_list = [*fields, "row_id"]
    column_labels = {
        "at": "When",
        "actor": "User",
        "channel": "Channel",
        "action": "Action",
        "identity": "Model",
        "title": "Row",
        "changes": "Changes",
        "address": "Address",
    }
    search = ("actor", "title")
    order = ("-id",)
    can_create = can_edit = can_delete = False
    _has_history = False
    icon = "ti ti-history"
    category = "Operations"

    def __init__(self) -> None:
        self.column_filters = ("actor", ChannelFilter(), "action", ModelFilter(self), "at")  # type: ignore[misc]  # set for each instance
        super().__init__()
        self.truncated_columns -= {"action", "identity", "channel"}

    def list_query(self, request: Request) -> Select[Any]:
        return super().list_query(request).where(visible_entries(request, self.site, Action.LIST, Action.DETAILS))

    async def list(self, request: Request) -> Pagination:
        page = await super().list(request)
        if "changes" in listed_columns(request, self):
            await self._name_references(request, page.rows)
        return page

    async def _name_references(self, request: Request, entries: Sequence[AuditEntry]) -> None:
        """Load the titles of rows that changes of these entries refer to, with one query for each column."""
        request.state.names_in_changes = names = dict[str, Names]()
        for identity in {entry.identity for entry in entries}:
            changes = [entry.changes for entry in entries if entry.identity == identity]
            names[identity] = await load_reference_names(request, changes, self.site.view_by_identity(identity))

    async def get_list_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if request and prop == "changes":
            return obj.changes, self._render_changes(obj, request, is_short=True)
        return self._display(obj, prop, request) or await super().get_list_value(obj, prop, request)

    async def get_detail_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if request and prop == "changes":
            await self._name_references(request, [obj])
            return obj.changes, self._render_changes(obj, request)
        return self._display(obj, prop, request) or await super().get_detail_value(obj, prop, request)

    def _render_changes(self, entry: AuditEntry, request: Request, *, is_short: bool = False) -> Markup:
        view = self.site.view_by_identity(entry.identity)
        changes = list_change_rows(entry.changes, view, request.state.names_in_changes[entry.identity])
        number_left_out = 0
        if is_short:
            number_left_out = max(len(changes) - MAX_LISTED_CHANGES, 0)
            changes = [
                (label, shorten(old, MAX_LISTED_VALUE), shorten(new, MAX_LISTED_VALUE))
                for label, old, new in changes[:MAX_LISTED_CHANGES]
            ]
        template = self.templates.env.get_template("admin/diff.html")
        return Markup(template.render(changes=changes, number_left_out=number_left_out))  # noqa: S704 - escaped

    async def get_prop_value(self, obj: Any, prop: str) -> Any:
        if prop == "changes":
            return get_visible_changes(obj.changes, self.site.view_by_identity(obj.identity))
        return await super().get_prop_value(obj, prop)

    def _display(self, entry: AuditEntry, prop: str, request: Request | None) -> tuple[str, str] | None:
        """Return the stored value of a column and the text to show; None for columns that show their value."""
        view = self.site.view_by_identity(entry.identity)
        if prop == "action":
            return entry.action, get_action_label(entry, view)
        if prop == "channel":
            return entry.channel, channel_label(entry.channel)
        if prop == "identity":
            return entry.identity, get_model_label(entry, view)
        if prop == "title" and request:
            return entry.title, self._link_title(entry, view, request)
        return None

    @staticmethod
    def _link_title(entry: AuditEntry, view: BaseAdminView | None, request: Request) -> str:
        """Return the title, as a link to the history of the row if the user may open it."""
        title = entry.title or entry.row_id
        if not (view and entry.row_id and may_see_history(request, view)):
            return title
        url = request.url_for("admin:history", identity=entry.identity, pk=quote_key(entry.row_id))
        return Markup('<a href="{}">{}</a>').format(url, title)


async def history_page(request: Request, view: AdminView) -> Response:
    """Render the history of one row, which may already be deleted."""
    pk = request.path_params["pk"]
    row = await view.get_object_for_details(request)
    deleted_row = await find_deleted(request, view) if row is None else None
    recorded_row = row or deleted_row
    await _require_access(request, view, pk, recorded_row)
    entries = await _read_entries(request, view, pk, recorded_row)
    if recorded_row is None and not entries:
        raise HTTPException(404)
    page = entries[:ENTRIES_PER_PAGE]
    names = await load_reference_names(request, [entry.changes for entry in page], view)
    context = {
        "row": row,
        "deleted_row": deleted_row,
        "pk": pk,
        "entries": [
            (entry, get_action_label(entry, view), list_change_rows(entry.changes, view, names)) for entry in page
        ],
        "older": entries[ENTRIES_PER_PAGE - 1].id if len(entries) > ENTRIES_PER_PAGE else None,
        "recorded_row": recorded_row,
        "may_restore": row is not None and may_edit_any(request, view) and await view.check_can_edit(request, row),
        "keeps_history": keeps_history(view.model),
    }
    return await render_page(request, view, "admin/history.html", context)


async def _require_access(request: Request, view: AdminView, pk: str, row: Any) -> None:
    """Raise HTTPException if the user may not see this row, which is None after its permanent deletion."""
    if row is not None:
        if not await view.check_can_view_details(request, row):
            raise HTTPException(403)
    elif await view.queries.objects(with_deleted(row_by_key(view, pk))):
        raise HTTPException(404)  # the row exists, but the query of the view or the user's trash does not contain it


def entries_of_row(request: Request, view: AdminView, pk: str, row: Any) -> Select[Any]:
    """Select the entries of a row, without those of a deleted row that had its key."""
    entries = entries_of(view, pk)
    if is_limited(view, request):  # the list that had a deleted row is unknown
        entries = entries.where(is_by_user(request) if row is None else is_of_present_row(view))
    if created_at := getattr(row, "created_at", None):
        # SQLite reuses the ids of deleted rows.
        entries = entries.where(col(AuditEntry.at) >= created_at)
    return entries


async def _read_entries(request: Request, view: AdminView, pk: str, row: Any) -> Sequence[AuditEntry]:
    """Return the newest entries of a row, one more than a page shows."""
    entries = entries_of_row(request, view, pk, row)
    for extension in view.site.extensions:
        if (condition := await extension.log_condition(request, view, row)) is not None:
            entries = entries.where(condition)
    if before := request.query_params.get("before", ""):
        entries = entries.where(col(AuditEntry.id) < require_found(parse_row_id(before)))
    newest = entries.order_by(col(AuditEntry.id).desc()).limit(ENTRIES_PER_PAGE + 1)
    return await view.queries.objects(newest)


def get_action_label(entry: AuditEntry, view: BaseAdminView | None) -> str:
    action, _, slug = entry.action.partition(":")
    if not slug:
        return str(ACTION_LABELS.get(action) or choice_label(action))
    labels = action_labels(view) if view else {}
    return str(labels.get(slug, slug.replace("-", " ").capitalize()))


def get_model_label(entry: AuditEntry, view: BaseAdminView | None) -> str:
    return view.name if view else entry.identity.replace("-", " ").capitalize()


def channel_label(channel: str) -> str:
    """Return a channel in the language of the page: `Page`, or `Job books.summarise`."""
    type_, separator, name = channel.partition(" ")
    return f"{CHANNELS.get(type_, type_)}{separator}{name}"
