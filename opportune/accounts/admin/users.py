"""Admin pages of users."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError
from sqladmin import action, expose
from sqladmin.authorization import Action
from sqlalchemy import Select, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.accounts.admin.events import EVENTS_OF_ACTIONS, record_staff_change
from opportune.accounts.admin.groups import (
    GroupsField,
    has_more_permissions,
    read_groups_of_user,
    read_permissions_by_group,
    set_groups,
)
from opportune.accounts.admin.impersonation import ImpersonationMixin
from opportune.accounts.admin.permission_table import readable_table
from opportune.accounts.admin.user_columns import user_columns
from opportune.accounts.groups.service import lock_superusers
from opportune.accounts.models import User, UserBase
from opportune.accounts.passkeys.service import reset_two_factor
from opportune.accounts.passwords import hashing
from opportune.accounts.schemas import EMAIL_ADAPTER, NewPassword
from opportune.accounts.users.context import user_manager
from opportune.accounts.users.credentials import delete_all_sessions
from opportune.accounts.users.deactivation import force_deactivation
from opportune.accounts.users.errors import InvalidPasswordError
from opportune.admin.authorization import has_staff_permission, is_superuser, may_change_user
from opportune.admin.base import BaseAdminView, Check
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.fieldsets import without_fields
from opportune.admin.forms.form_extension import FormExtension
from opportune.admin.forms.wtforms_classes import InputRequired, PasswordField
from opportune.admin.log import audit, diff
from opportune.admin.persistence.row_writer import RowWriter
from opportune.admin.persistence.transactions import RowAction, session_of
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView
from opportune.db.hooks.registry import changes
from opportune.db.models.columns import is_long, is_secret, is_text, label_of
from opportune.db.queries.batches import delete_dependents_in_batches
from opportune.fields.files import file_columns_of
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n import pgettext_lazy as _p
from opportune.schemas import Schema
from opportune.web import Form
from opportune.web.forms.forms import fill_form
from opportune.web.rendering.flash import flash

FLAGS = ("is_active", "is_staff", "is_superuser", "is_verified")
PRIVILEGE_FIELDS = ("is_superuser", "is_staff")


PROJECT_FIELDS = [name for name in User.model_fields if name not in UserBase.model_fields and not is_secret(name)]
"""Columns that the project has added to the model."""
USER_COLUMNS: list[Any] = ["id", "email", *PROJECT_FIELDS, *FLAGS, "created_at"]
LONG_COLUMNS = {column.key for column in inspect(User, raiseerr=True).columns if is_long(column)}
LISTED_COLUMNS = [name for name in USER_COLUMNS if name not in LONG_COLUMNS | file_columns_of(User).keys()]
SEARCHED_COLUMNS = [name for name in LISTED_COLUMNS if is_text(inspect(User, raiseerr=True).columns[name])]
NAMES = (_p("label", "User"), _p("label", "Users"))
"""Labels that the view of a project makes of the name of its model."""
OWN_PRIVILEGES = _l("You cannot remove your own permissions. Ask another superuser.")
LAST_SUPERUSER = _l("This is the last active superuser.")
SUPERUSER_REQUIRED = _l("Only a superuser may change the account of a user with permissions.")


class PasswordChange(Schema):
    password: NewPassword = Field(title="New password")
    password_again: NewPassword = Field(title="Repeat the password")


class UserWriter(RowWriter):
    async def lock(self, rows: Select[Any], check: Check) -> Sequence[Any]:
        # Lock superusers first, so that two who remove each other at the same moment do not deadlock.
        await lock_superusers(self.session)
        return await super().lock(rows, check)

    @classmethod
    async def prepare_deletion(cls, view: BaseAdminView, request: Request, pks: Sequence[str]) -> None:
        """Delete what belongs to the users in several transactions, after a check of the permissions."""
        async with view.site.database.writer() as session:
            users = await cls(view, session, request).lock_selected(
                view.list_query(request), pks, view.check_can_delete
            )
            for user in users:
                await view.before_delete(session, user, request)
        for user in users:
            await delete_dependents_in_batches(view.site.database, User, user.id)


class UserFormExtension(FormExtension):
    """The groups and the first password of a user. Only superusers see the fields of privileges."""

    names = ("groups",)

    async def extend(self, form: type[AdminForm], request: Request, *, creating: bool) -> type[AdminForm]:
        if groups := await GroupsField.for_request(self.view.site.database, request):
            form = type("UserForm", (form,), {"groups": groups})
        if not is_superuser(request):
            form = without_fields(form, PRIVILEGE_FIELDS)
        if not creating:
            return form
        style = {"class": "form-control", "autocomplete": "new-password"}
        password = PasswordField(_l("Password"), [InputRequired()], render_kw=style)
        return type("NewUserForm", (form,), {"password": password})

    async def save(self, session: AsyncSession, request: Request, row: Any, values: Mapping[str, Any]) -> diff.Changes:
        group_changes = await set_groups(session, request, row, values["groups"]) if "groups" in values else {}
        if group_changes:
            record_staff_change(session, request, row, "updated_by_staff", fields="Groups")
        return group_changes


class UserAdmin(ImpersonationMixin, AdminView, model=User):
    """Superusers may change all users and their permissions. Other staff may only change users without permissions.

    Only an e-mail to the address or a superuser verifies it. An address that other staff enter is not verified.
    """

    columns = LISTED_COLUMNS
    search = SEARCHED_COLUMNS
    column_export_list = USER_COLUMNS
    fields = [*USER_COLUMNS, "has_two_factor"]
    filters = ("is_active", "is_staff", "is_superuser", "is_verified", "created_at")
    column_labels = {"email": "E-mail", "has_two_factor": "Two-factor"}
    write_fields = ("email", *PROJECT_FIELDS, "is_active", "is_verified", *PRIVILEGE_FIELDS)
    form_args = {"email": {"lines": False}}
    can_edit_selected = False  # the actions below also sign users out and write account events
    details_template = "admin/user.html"
    icon, category = "ti ti-users", "Accounts"
    _form_extension = UserFormExtension
    _writer = UserWriter

    # Forms

    async def get_form_data_for_edit(self, obj: Any) -> dict[str, Any]:
        async with self.site.database.reader(fresh=True) as session:
            groups = await read_groups_of_user(session, obj)
        return {**await super().get_form_data_for_edit(obj), "groups": list(groups)}

    def clean(self, form: AdminForm, row: Any) -> dict[str, Any]:
        values = super().clean(form, row)
        try:
            values["email"] = EMAIL_ADAPTER.validate_python(values["email"])
        except ValidationError:
            raise ValidationRefused("This is not an e-mail address.", "email") from None
        return values

    def get_readonly_fields(self, request: Request, row: Any) -> Sequence[str]:
        return (*super().get_readonly_fields(request, row), *(() if is_superuser(request) else ("is_verified",)))

    # Changes

    async def insert_model(self, request: Request, data: dict[str, Any]) -> Any:
        # Hash before the transaction, because the transaction blocks all other writers on SQLite.
        hashed = await self._hash(data.pop("password"), data["email"])
        return await super().insert_model(request, {**data, "hashed_password": hashed})

    async def on_model_change(self, data: dict[str, Any], model: User, is_created: bool, request: Request) -> None:
        if not is_superuser(request):
            keeps_email = data.get("email", model.email) == model.email
            data["is_verified"] = not is_created and model.is_verified and keeps_email
        if is_created:
            return
        session = session_of(model)
        await _check_may_change(session, model, request)
        removed = [name for name in ("is_superuser", "is_active") if getattr(model, name) and not data.get(name, True)]
        if removed:
            await _check_superuser_remains(session, model, request, OWN_PRIVILEGES, removed[0])

    async def before_save(self, session: AsyncSession, row: User, request: Request, *, is_created: bool) -> None:
        await super().before_save(session, row, request, is_created=is_created)
        written = {} if is_created else dict(changes(row))
        if email := written.pop("email", None):
            record_staff_change(
                session, request, row, "email_updated", to=email.before, old=email.before, new=email.after
            )
        if written:
            fields = ", ".join(self.labels.get(name, label_of(name)) for name in written)
            record_staff_change(session, request, row, "updated_by_staff", fields=fields)

    async def before_delete(self, session: AsyncSession, row: User, request: Request) -> None:
        await _check_may_change(session, row, request)
        await _check_superuser_remains(session, row, request, _l("You cannot delete yourself."))

    # Permissions

    async def check_can_edit(self, request: Request, model: User | None) -> bool:
        return await super().check_can_edit(request, model) and (model is None or may_change_user(request, model))

    async def check_can_delete(self, request: Request, model: User | None) -> bool:
        return await super().check_can_delete(request, model) and (model is None or may_change_user(request, model))

    def _actions_for(self, request: Request, row: User) -> dict[str, str]:
        inapplicable = {"activate"} if row.is_active else {"deactivate", "force-deactivation"}
        if not row.has_two_factor:
            inapplicable.add("reset-two-factor")
        actions = super()._actions_for(request, row) if may_change_user(request, row) else {}
        return {slug: label for slug, label in actions.items() if slug not in inapplicable}

    async def columns_of_features(self, request: Request, row: User) -> list[tuple[str, str]]:
        return await user_columns(request, self.site, row)

    async def permission_table(self, request: Request, row: User) -> str:
        """Return the table of the user's permissions by group; empty for staff who may not see groups."""
        if row.is_superuser or not has_staff_permission(request, "group", Action.LIST):
            return ""
        async with self.site.database.reader(fresh=True) as session:
            permissions = await read_permissions_by_group(session, row)
        return readable_table(self.site, permissions).render(by_group=True) if permissions else ""

    def links(self, request: Request, row: User) -> list[tuple[str, str]]:
        impersonation = self.impersonation_link(request, row)
        if not (self.has_permission(request, Action.EDIT) and may_change_user(request, row)):
            return impersonation
        url = str(request.url_for("admin:view-user-set_password", pk=row.id))
        return [*impersonation, (gettext("Set password"), url)]

    # Actions

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
            await _check_superuser_remains(session, user, request, OWN_PRIVILEGES)
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
            await _check_may_change(session, user, request)
            await change(session, user)
            event, details = EVENTS_OF_ACTIONS[slug]
            record_staff_change(session, request, user, event, **details)

        return await self.apply_to_selected(request, slug, check_and_change, result)

    @expose("/password/{pk}", methods=["GET", "POST"])
    async def set_password(self, request: Request) -> Response:
        user = await self.get_object_for_details(request)
        if user is None:
            raise HTTPException(404)
        if not await self.check_can_edit(request, user):
            raise HTTPException(403)
        form = Form(PasswordChange)
        if request.method == "POST" and await self._change_password(request, await fill_form(request, form), user):
            flash(request, gettext("%(user)s has a new password and is signed out everywhere.", user=user))
            return RedirectResponse(request.url_for("admin:details", identity=self.identity, pk=user.id), 303)
        context = {"form": form, "obj": user, "model_view": self}
        status = 400 if form.errors else 200
        return await render_page(request, self, "admin/password.html", context, status)

    async def _change_password(self, request: Request, form: Form[PasswordChange], user: User) -> bool:
        async def save(data: PasswordChange) -> bool:
            if data.password != data.password_again:
                raise ValidationRefused("The passwords differ.", "password_again")
            hashed = await self._hash(data.password, user.email, user)  # before the transaction, as in `insert_model`
            await self._store_password(request, hashed)
            return True

        return bool(await form.save(save))

    async def _hash(self, password: str, email: str, user: User | None = None) -> str:
        """Return the hash of a new password. Raises ValidationRefused."""
        async with self.site.database.reader() as session:
            try:
                await user_manager(session).check_new_password(password, email, user)
            except InvalidPasswordError as refusal:
                raise ValidationRefused(str(refusal), "password") from None
        return await hashing.hash_password(password)

    async def _store_password(self, request: Request, hashed: str) -> None:
        async with self.site.database.writer() as session:
            user = await self.writer(session, request).lock_one(self.form_edit_query(request), self.check_can_edit)
            await _check_may_change(session, user, request)
            before = {"is_verified": user.is_verified}
            user.hashed_password = hashed
            user.is_verified = user.is_verified and is_superuser(request)
            record_staff_change(session, request, user, "password_updated")
            changed = diff.diff_values(before, {"is_verified": user.is_verified})
            audit.record_row(session, request, "set password", self.identity, user, changed)


async def _check_may_change(session: AsyncSession, user: User, request: Request) -> None:
    """Check a locked user again, who may have become staff after the page was rendered.

    Raises:
        ValidationRefused: Only a superuser may change this user. Members of groups with more permissions than the
            current user are protected, also if they are not staff.
    """
    if is_superuser(request):
        return
    if not may_change_user(request, user) or await has_more_permissions(session, request, user):
        raise ValidationRefused(SUPERUSER_REQUIRED)


async def _check_superuser_remains(
    session: AsyncSession, user: User, request: Request, own_account_message: str, *fields: str
) -> None:
    """Raise ValidationRefused if users lock themselves out, or no active superuser would remain."""
    if user.id == request.state.user.id:
        raise ValidationRefused(own_account_message, *fields)
    if user.is_superuser and await lock_superusers(session) <= {user.id}:
        raise ValidationRefused(LAST_SUPERUSER, *fields)
