"""The admin's pages for users, their sessions and their tokens."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from sqladmin import Flash, action, expose
from sqladmin.authorization import Action, custom_action
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_object_session
from sqlmodel import col
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from wtforms import PasswordField  # type: ignore[import-untyped]  # has no types
from wtforms.validators import InputRequired  # type: ignore[import-untyped]  # has no types

from app.accounts import passwords, sessions, two_factor
from app.accounts.manager import InvalidPasswordException, UserManager
from app.accounts.models import ApiToken, Membership, Session, User
from app.accounts.schemas import Email
from app.admin import audit, changes
from app.admin.actions import list_again
from app.admin.authorization import ForSuperusers, is_superuser, may_touch
from app.admin.forms import AdminForm, add_error, sent_texts
from app.admin.groups import GroupsField, groups_of, set_groups
from app.admin.layout import without
from app.admin.refusals import Refused
from app.admin.views import AdminView

EMAIL: TypeAdapter[str] = TypeAdapter(Email)
COLUMNS: list[Any] = ["id", "email", "name", "is_active", "is_staff", "is_superuser", "is_verified", "created_at"]
RIGHTS = ("is_superuser", "is_staff")
YOURSELF = "You cannot take your own rights here: ask another superuser."
LAST = "Nobody else is an active superuser."
COLLEAGUE = "Only a superuser may change the account of somebody who has rights."

Act = Callable[[AsyncSession, User], Awaitable[None]]


def password_field(label: str) -> PasswordField:
    options = {"class": "form-control", "autocomplete": "new-password"}
    return PasswordField(label, [InputRequired()], render_kw=options)


class PasswordForm(AdminForm):
    password = password_field("New password")
    again = password_field("Once more")


class UserAdmin(AdminView, model=User):
    """Superusers change everybody and give rights. Staff change those who have none, and see no rights in the form."""

    column_list = COLUMNS
    column_export_list = COLUMNS
    column_details_list = [*COLUMNS, "has_two_factor"]  # noqa: RUF012 - SQLAdmin's way to declare
    column_filters = ("is_active", "is_staff", "is_superuser", "is_verified", "created_at")
    column_labels = {"email": "E-mail", "has_two_factor": "Two-factor"}  # noqa: RUF012 - as above
    form_columns = ("email", "name", "is_active", "is_verified", *RIGHTS)
    form_args = {"email": {"lines": False}}  # noqa: RUF012 - as above
    related_fields = ("groups",)
    icon, category = "ti ti-users", "Accounts"

    # Forms

    async def form_class(self, request: Request, *, creating: bool) -> type[AdminForm]:
        form = await super().form_class(request, creating=creating)
        if is_superuser(request):
            form = type("UserForm", (form,), {"groups": await GroupsField.of_all(self._admin_ref.database)})
        else:
            form = without(form, RIGHTS)
        return type("NewUserForm", (form,), {"password": password_field("Password")}) if creating else form

    async def get_form_data_for_edit(self, obj: Any) -> dict[str, Any]:
        async with self._admin_ref.database.reader(fresh=True) as session:
            groups = await groups_of(session, obj)
        return {**await super().get_form_data_for_edit(obj), "groups": list(groups)}

    def clean(self, form: AdminForm, row: Any) -> dict[str, Any]:
        values = super().clean(form, row)
        try:
            values["email"] = EMAIL.validate_python(values["email"])
        except ValidationError:
            raise Refused("This is no e-mail address.", "email") from None
        if row is None and (reason := passwords.fault(values["password"], values["email"])):
            raise Refused(reason, "password")
        return values

    # Changes

    async def insert_model(self, request: Request, data: dict[str, Any]) -> Any:
        # Before the transaction, which on SQLite makes all other writers wait.
        hashed = await passwords.hashed(data.pop("password"))
        return await super().insert_model(request, {**data, "hashed_password": hashed})

    async def on_model_change(self, data: dict[str, Any], model: User, is_created: bool, request: Request) -> None:
        if is_created:
            return
        session = await _guarded(model, request)
        lost = [name for name in ("is_superuser", "is_active") if getattr(model, name) and not data.get(name, True)]
        if lost:
            await _keep_superusers(session, model, request, YOURSELF, lost[0])

    async def save_related(self, session: AsyncSession, request: Request, row: Any, related: dict[str, Any]) -> Any:
        return await set_groups(session, row, related["groups"]) if "groups" in related else {}

    async def on_model_delete(self, model: User, request: Request) -> None:
        session = await _guarded(model, request)
        await _keep_superusers(session, model, request, "You cannot delete yourself.")

    # Who may

    async def check_can_edit(self, request: Request, model: User | None) -> bool:
        return await super().check_can_edit(request, model) and (model is None or may_touch(request, model))

    async def check_can_delete(self, request: Request, model: User | None) -> bool:
        return await super().check_can_delete(request, model) and (model is None or may_touch(request, model))

    def actions_for(self, request: Request, row: User) -> dict[str, str]:
        unfit = {"activate" if row.is_active else "deactivate"}
        if not row.has_two_factor:
            unfit.add("reset-two-factor")
        offered = super().actions_for(request, row) if may_touch(request, row) else {}
        return {slug: label for slug, label in offered.items() if slug not in unfit}

    def links(self, request: Request, row: User) -> list[tuple[str, str]]:
        if not (self.has_permission(request, Action.EDIT) and may_touch(request, row)):
            return []
        return [("Set password", str(request.url_for("admin:view-user-set_password", pk=row.id)))]

    # Actions

    @action("activate", "Activate")
    async def activate(self, request: Request) -> Response:
        async def act(_session: AsyncSession, user: User) -> None:
            user.is_active = True

        return await self._each(request, "activate", act, "may sign in again")

    @action("deactivate", "Deactivate", "They are signed out everywhere and cannot sign in.")
    async def deactivate(self, request: Request) -> Response:
        async def act(session: AsyncSession, user: User) -> None:
            await _keep_superusers(session, user, request, YOURSELF)
            user.is_active = False

        return await self._each(request, "deactivate", act, "cannot sign in any more")

    @action("sign-out", "Sign out everywhere", "Browsers and programs have to sign in again.")
    async def sign_out(self, request: Request) -> Response:
        return await self._each(request, "sign-out", sessions.end_all, "signed out everywhere")

    @action("reset-two-factor", "Reset two-factor", "From then on the password alone is enough.")
    async def reset_two_factor(self, request: Request) -> Response:
        return await self._each(request, "reset-two-factor", two_factor.turn_off, "without a second factor now")

    async def _each(self, request: Request, slug: str, act: Act, done: str) -> Response:
        """Do it to all that were chosen, or to none."""
        async with self._admin_ref.database.writer() as session:
            users = [await self._row(session, pk) for pk in request.query_params["pks"].split(",")]
            for user in users:
                await _guarded(user, request)
                before = changes.values_of(user)
                await act(session, user)
                told = changes.of_edit(before, user)
                audit.record_row(session, request, custom_action(slug), self.identity, user, told)
        who = str(users[0]) if len(users) == 1 else f"{len(users):,} users"
        Flash.success(request, f"{who}: {done}.")
        return RedirectResponse(list_again(request, self), 303)

    @expose("/password/{pk}", methods=["GET", "POST"])
    async def set_password(self, request: Request) -> Response:
        user = await self.get_object_for_details(request)
        if user is None:
            raise HTTPException(404)
        if not await self.check_can_edit(request, user):
            raise HTTPException(403)
        form = PasswordForm(await sent_texts(request) if request.method == "POST" else None)
        if request.method == "POST" and form.validate() and await self._change_password(request, form):
            Flash.success(request, f"{user} has a new password and is signed out everywhere.")
            return RedirectResponse(request.url_for("admin:details", identity=self.identity, pk=user.id), 303)
        context = {"form": form, "obj": user, "model_view": self}
        status = 400 if form.errors else 200
        return cast("Response", await self.templates.TemplateResponse(request, "admin/password.html", context, status))

    async def _change_password(self, request: Request, form: PasswordForm) -> bool:
        if form.password.data != form.again.data:
            add_error(form.again, "This differs from the first.")
            return False
        try:
            async with self._admin_ref.database.writer() as session:
                user = await self._row(session, request.path_params["pk"])
                await _guarded(user, request)
                audit.record_row(session, request, "set password", self.identity, user, {})
                await UserManager(session).change(user, password=form.password.data)
        except (InvalidPasswordException, Refused) as error:
            add_error(form.password, getattr(error, "reason", str(error)))
            return False
        return True


async def _guarded(user: User, request: Request) -> AsyncSession:
    """The session of a user whom one may change. Locked: somebody may give the user rights at this moment.

    Raises:
        Refused: only a superuser may. Groups count for whoever becomes staff, so their members are spared too.
    """
    session = cast("AsyncSession", async_object_session(user))
    if not is_superuser(request):
        await session.refresh(user, with_for_update=True)
        member = select(col(Membership.id)).where(col(Membership.user_id) == user.id).limit(1)
        if not may_touch(request, user) or await session.scalar(member):
            raise Refused(COLLEAGUE)
    return session


async def _keep_superusers(session: AsyncSession, leaving: User, request: Request, yourself: str, *fields: str) -> None:
    if leaving.id == request.state.user.id:
        raise Refused(yourself, *fields)
    # Locked: two superusers may remove each other at the same moment.
    active = select(col(User.id)).where(col(User.is_superuser), col(User.is_active)).with_for_update()
    if leaving.is_superuser and set(await session.scalars(active)) <= {leaving.id}:
        raise Refused(LAST, *fields)


class SessionAdmin(ForSuperusers, AdminView, model=Session):
    """Deleting one signs that browser out."""

    column_list = ("id", "user_id", "address", "agent", "created_at", "seen_at", "expires_at")
    column_searchable_list = ("address", "agent")
    column_filters = ("user_id", "created_at", "seen_at", "expires_at")
    can_create = can_edit = False
    icon, category = "ti ti-devices", "Accounts"


class TokenAdmin(ForSuperusers, AdminView, model=ApiToken):
    """Deleting one shuts that program out."""

    name, name_plural = "API token", "API tokens"
    column_list = ("id", "user_id", "name", "hint", "created_at", "used_at", "expires_at")
    column_searchable_list = ("name",)
    column_filters = ("user_id", "created_at", "used_at", "expires_at")
    can_create = can_edit = False
    icon, category = "ti ti-key", "Accounts"


ACCOUNTS = (UserAdmin, SessionAdmin, TokenAdmin)
