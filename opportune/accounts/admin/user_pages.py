"""The page of a user in the admin: columns of other features, a new password, and signing in as the user."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from sqladmin import expose
from sqladmin.authorization import Action
from sqlalchemy import Select, func, select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.accounts.admin.user_actions import check_may_change, record_staff_change
from opportune.accounts.dependencies import make_account_context
from opportune.accounts.flows.impersonation import ImpersonationRefused, find_impersonation_problem, start_impersonation
from opportune.accounts.models import Session, User
from opportune.accounts.passwords import hashing
from opportune.accounts.reauthentication import get_confirmed_user
from opportune.accounts.schemas import NewPassword
from opportune.accounts.sessions.cookies import set_session_cookie
from opportune.accounts.users.context import user_manager
from opportune.accounts.users.errors import InvalidPasswordError
from opportune.admin.authorization import is_superuser, may_act
from opportune.admin.base import BaseAdminSite
from opportune.admin.errors import ValidationRefused
from opportune.admin.lists.display import EMPTY_CELL
from opportune.admin.lists.row_keys import row_conditions
from opportune.admin.log import audit, diff
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView
from opportune.errors import require_found
from opportune.feature import UserColumn
from opportune.i18n import gettext
from opportune.i18n.formats import format_number
from opportune.schemas import Schema
from opportune.schemas.annotations import FieldOptions
from opportune.schemas.text import Text
from opportune.web import Form
from opportune.web.forms.forms import fill_form
from opportune.web.rendering.flash import flash
from opportune.web.time_zone import format_datetime

MAX_REASON_LENGTH = 200


class PasswordChange(Schema):
    password: NewPassword = Field(title="New password")
    password_again: NewPassword = Field(title="Repeat the password")


class PasswordMixin(AdminView):
    """The passwords of users, as a part of `UserAdmin`."""

    async def insert_model(self, request: Request, data: dict[str, Any]) -> Any:
        # Hash before the transaction, because the transaction blocks all other writers on SQLite.
        hashed = await self._hash(data.pop("password"), data["email"])
        return await super().insert_model(request, {**data, "hashed_password": hashed})

    @expose("/password/{pk}", methods=["GET", "POST"])
    async def set_password(self, request: Request) -> Response:
        user = require_found(await self.get_object_for_details(request))
        if not await self.check_can_edit(request, user):
            raise HTTPException(403)
        await get_confirmed_user(request, request.state.user)
        form = Form(PasswordChange)
        if request.method == "POST":
            await fill_form(request, form)
        if await form.save(partial(self._change_password, request, user)):
            flash(request, gettext("%(user)s has a new password and is signed out everywhere.", user=user))
            return RedirectResponse(request.url_for("admin:details", identity=self.identity, pk=user.id), 303)
        context = {"form": form, "obj": user, "model_view": self}
        status = 400 if form.errors else 200
        return await render_page(request, self, "admin/password.html", context, status)

    async def _change_password(self, request: Request, user: User, data: PasswordChange) -> None:
        if data.password != data.password_again:
            raise ValidationRefused("The passwords differ.", "password_again")
        hashed = await self._hash(data.password, user.email, user)  # before the transaction, as in `insert_model`
        await self._store_password(request, hashed)

    async def _hash(self, password: str, email: str, user: User | None = None) -> str:
        """Return the hash of a new password.

        Raises:
            ValidationRefused: The password breaks a rule.
        """
        async with self.site.database.reader() as session:
            try:
                await user_manager(session).check_new_password(password, email, user)
            except InvalidPasswordError as refusal:
                raise ValidationRefused(str(refusal), "password") from None
        return await hashing.hash_password(password)

    async def _store_password(self, request: Request, hashed: str) -> None:
        async with self.site.database.writer() as session:
            user = await self.writer(session, request).lock_one(self.form_edit_query(request), self.check_can_edit)
            await check_may_change(session, user, request)
            before = {"is_verified": user.is_verified}
            user.hashed_password = hashed
            user.is_verified = user.is_verified and is_superuser(request)
            record_staff_change(session, request, user, "password_updated")
            changed = diff.diff_values(before, {"is_verified": user.is_verified})
            audit.record_row(session, request, "set password", self.identity, user, changed)


def _join_lines(text: Any) -> Any:
    return " ".join(text.split()) if isinstance(text, str) else text


class Impersonation(Schema):
    reason: Annotated[Text, BeforeValidator(_join_lines), FieldOptions(rows=2)] = Field(
        min_length=1,
        max_length=MAX_REASON_LENGTH,
        description="The user reads it in an e-mail and in the list of account events.",
    )
    may_write: bool = Field(
        False,
        title="Allow changes",
        description="If not checked, you can only read. Your changes appear in the user's account events.",
    )


class ImpersonationMixin(AdminView):
    """The impersonation page and its link, as a part of `UserAdmin`."""

    _logged_fields = ("reason",)

    def impersonation_link(self, request: Request, user: User) -> list[tuple[str, str]]:
        if not is_superuser(request) or find_impersonation_problem(request.state.user, user):
            return []
        return [(gettext("Sign in as …"), str(request.url_for("admin:view-user-impersonate", pk=user.id)))]

    @expose("/impersonate/{pk}", methods=["GET", "POST"])
    async def impersonate(self, request: Request) -> Response:
        if not is_superuser(request):
            raise HTTPException(403)
        user = require_found(await self.get_object_for_details(request))
        if problem := find_impersonation_problem(request.state.user, user):
            raise HTTPException(403, problem)
        await get_confirmed_user(request, request.state.user)
        form = Form(Impersonation)
        if request.method == "POST" and (data := (await fill_form(request, form)).data):
            try:
                return await self._impersonate(request, request.state.session, user, data)
            except ImpersonationRefused as refusal:
                form.refuse(str(refusal), "reason")
        context = {"form": form, "obj": user, "model_view": self}
        status = 400 if form.errors else 200
        return await render_page(request, self, "admin/impersonate.html", context, status)

    async def _impersonate(self, request: Request, current: Session, user: User, data: Impersonation) -> Response:
        """Start the session.

        Raises:
            ImpersonationRefused: A rule has forbidden it since the page was rendered.
        """
        response = RedirectResponse("/", 303)
        async with self.site.database.writer() as session:
            context = make_account_context(request, session)
            new_session, token = await start_impersonation(
                context, request.state.user, current, user.id, data.reason, may_write=data.may_write
            )
            audit.record_row(session, request, "sign in as", self.identity, user, {"reason": ["", data.reason]})
        set_session_cookie(request, response, new_session, token)
        return response


async def user_columns(request: Request, site: BaseAdminSite, user: User) -> list[tuple[str, str]]:
    """Return label and value of each column whose rows the current user may list, read in one query."""
    columns = [column for feature in request.app.state.features for column in feature.admin.user_columns]
    views = [(column, site.view_for_model(column.owner.class_)) for column in columns]
    listed = [(column, view) for column, view in views if view and may_act(request, view, Action.LIST)]
    if not listed:
        return []
    queries = [_select_value(column, user).where(*row_conditions(view, request)) for column, view in listed]
    statement = select(*(query.scalar_subquery() for query in queries))
    async with site.database.reader() as session:
        values: Sequence[object] = (await session.execute(statement)).one()
    return [(gettext(column.label), _format(value)) for (column, _), value in zip(listed, values, strict=True)]


def _select_value(column: UserColumn, user: User) -> Select[Any]:
    value = func.count() if column.value is None else column.value
    return select(value).where(column.owner == user.id).select_from(column.owner.class_)


def _format(value: object) -> str:
    if value is None:
        return EMPTY_CELL
    if isinstance(value, int):
        return format_number(value)
    return format_datetime(value) if isinstance(value, datetime) else str(value)
