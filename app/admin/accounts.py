"""The admin's pages for users and their sessions."""

from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from sqladmin import Flash, expose
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_object_session
from sqlmodel import col
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from wtforms import PasswordField  # type: ignore[import-untyped]  # has no types
from wtforms.validators import InputRequired  # type: ignore[import-untyped]  # has no types

from app.accounts import passwords
from app.accounts.manager import InvalidPasswordException, UserManager
from app.accounts.models import Session, User
from app.accounts.schemas import Email
from app.admin.forms import AdminForm, add_error, sent_texts
from app.admin.refusals import Refused
from app.admin.views import AdminView

EMAIL: TypeAdapter[str] = TypeAdapter(Email)
YOURSELF = "You cannot take your own rights here: ask another superuser."
LAST = "Nobody else is an active superuser."


def password_field(label: str) -> PasswordField:
    options = {"class": "form-control", "autocomplete": "new-password"}
    return PasswordField(label, [InputRequired()], render_kw=options)


class PasswordForm(AdminForm):
    password = password_field("New password")
    again = password_field("Once more")


class UserAdmin(AdminView, model=User):
    column_list = ("id", "email", "is_active", "is_superuser", "is_verified", "created_at")
    column_filters = ("is_active", "is_superuser", "is_verified", "created_at")
    column_labels = {"email": "E-mail"}  # noqa: RUF012 - SQLAdmin's way to declare
    form_args = {"email": {"lines": False}}  # noqa: RUF012 - as above
    icon, category = "ti ti-users", "Accounts"

    async def form_class(self, *, creating: bool) -> type[AdminForm]:
        form = await super().form_class(creating=creating)
        return type("NewUserForm", (form,), {"password": password_field("Password")}) if creating else form

    def clean(self, form: AdminForm, row: Any) -> dict[str, Any]:
        values = super().clean(form, row)
        try:
            values["email"] = EMAIL.validate_python(values["email"])
        except ValidationError:
            raise Refused("This is no e-mail address.", "email") from None
        if row is None and (reason := passwords.fault(values["password"], values["email"])):
            raise Refused(reason, "password")
        return values

    async def insert_model(self, request: Request, data: dict[str, Any]) -> Any:
        # Before the transaction, which on SQLite makes all other writers wait.
        hashed = await passwords.hashed(data.pop("password"))
        return await super().insert_model(request, {**data, "hashed_password": hashed})

    async def on_model_change(self, data: dict[str, Any], model: User, is_created: bool, request: Request) -> None:
        lost = [name for name in ("is_superuser", "is_active") if not data[name]]
        if not is_created and lost:
            await self._keep_superusers(model, request, lost[0])

    async def on_model_delete(self, model: User, request: Request) -> None:
        await self._keep_superusers(model, request)

    @staticmethod
    async def _keep_superusers(leaving: User, request: Request, *fields: str) -> None:
        if leaving.id == request.state.user.id:
            raise Refused(YOURSELF if fields else "You cannot delete yourself.", *fields)
        session = async_object_session(leaving)
        # Locked: two superusers may remove each other at the same moment.
        active = select(col(User.id)).where(col(User.is_superuser), col(User.is_active)).with_for_update()
        if session and set(await session.scalars(active)) <= {leaving.id}:
            raise Refused(LAST, *fields)

    def links(self, request: Request, row: User) -> list[tuple[str, str]]:
        return [("Set password", str(request.url_for("admin:view-user-set_password", pk=row.id)))]

    @expose("/password/{pk}", methods=["GET", "POST"])
    async def set_password(self, request: Request) -> Response:
        user = await self.get_object_for_details(request)
        if user is None:
            raise HTTPException(404)
        form = PasswordForm(await sent_texts(request) if request.method == "POST" else None)
        if request.method == "POST" and form.validate() and await self._change_password(user, form):
            Flash.success(request, f"{user} has a new password and is signed out everywhere.")
            return RedirectResponse(request.url_for("admin:details", identity=self.identity, pk=user.id), 303)
        context = {"form": form, "obj": user, "model_view": self}
        status = 400 if form.errors else 200
        return cast("Response", await self.templates.TemplateResponse(request, "admin/password.html", context, status))

    async def _change_password(self, user: User, form: PasswordForm) -> bool:
        if form.password.data != form.again.data:
            add_error(form.again, "This differs from the first.")
            return False
        try:
            async with self._admin_ref.database.writer() as session:
                session.add(user)
                await UserManager(session).change(user, password=form.password.data)
        except InvalidPasswordException as error:
            add_error(form.password, error.reason)
            return False
        return True


class SessionAdmin(AdminView, model=Session):
    """Deleting one signs that browser out."""

    column_list = ("id", "user_id", "address", "agent", "created_at", "expires_at")
    column_searchable_list = ("address", "agent")
    column_filters = ("user_id", "created_at", "expires_at")
    can_create = can_edit = False
    icon, category = "ti ti-devices", "Accounts"
