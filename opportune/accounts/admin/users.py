"""Admin pages of users."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from sqladmin.authorization import Action
from sqlalchemy import Select, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from wtforms import PasswordField
from wtforms.validators import InputRequired

from opportune.accounts.admin import user_actions
from opportune.accounts.admin.groups import GroupsField, read_groups_of_user, read_permissions_by_group, set_groups
from opportune.accounts.admin.permission_table import readable_table
from opportune.accounts.admin.user_pages import ImpersonationMixin, PasswordMixin, user_columns
from opportune.accounts.flows.deletion import delete_personal_data, find_deletion_refusal
from opportune.accounts.models import User, UserBase
from opportune.accounts.reauthentication import get_confirmed_user
from opportune.accounts.schemas import EMAIL_ADAPTER
from opportune.accounts.users.queries import lock_superusers
from opportune.admin.authorization import has_staff_permission, is_superuser, may_change_user
from opportune.admin.base import BaseAdminView, Check
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm, FormExtension, without_fields
from opportune.admin.log import diff
from opportune.admin.row_writer import RowWriter, session_of
from opportune.admin.views import AdminView
from opportune.db.hooks.registry import changes
from opportune.db.models.columns import is_long, is_text
from opportune.db.models.labels import label_of
from opportune.db.models.sensitive_names import is_secret
from opportune.db.queries.batches import delete_dependents_in_batches
from opportune.fields.files import file_columns_of
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n import pgettext_lazy as _p

FLAGS = ("is_active", "is_staff", "is_superuser", "is_verified")
PRIVILEGE_FIELDS = ("is_superuser", "is_staff")
CONFIRMED_FIELDS = {"email", *PRIVILEGE_FIELDS}
"""Fields with which a stolen session could take over accounts. Staff confirm their identity to change them."""

PROJECT_FIELDS = [name for name in User.model_fields if name not in UserBase.model_fields and not is_secret(name)]
"""Columns that the project has added to the model."""
USER_COLUMNS: list[Any] = ["id", "email", *PROJECT_FIELDS, *FLAGS, "created_at"]
LONG_COLUMNS = {column.key for column in inspect(User, raiseerr=True).columns if is_long(column)}
LISTED_COLUMNS = [name for name in USER_COLUMNS if name not in LONG_COLUMNS | file_columns_of(User).keys()]
SEARCHED_COLUMNS = [name for name in LISTED_COLUMNS if is_text(inspect(User, raiseerr=True).columns[name])]
NAMES = (_p("label", "User"), _p("label", "Users"))
"""Marks the labels of the view for translation. The view itself makes them of the name of the model."""


class UserWriter(RowWriter):
    async def lock(self, rows: Select[Any], check: Check) -> Sequence[Any]:
        # Lock superusers first, so that two who remove each other at the same moment do not deadlock.
        await lock_superusers(self.session)
        return await super().lock(rows, check)

    @classmethod
    async def prepare_deletion(cls, view: BaseAdminView, request: Request, pks: Sequence[str]) -> None:
        """Delete what belongs to the users in several transactions, after a check of the permissions."""
        async with view.site.database.writer() as session:
            rows = view.list_query(request)
            users = await cls(view, session, request).lock_selected(rows, pks, view.check_can_delete)
            for user in users:
                await view.before_delete(session, user, request)
                if refusal := await find_deletion_refusal(session, request.app.state.features, user):
                    raise ValidationRefused(refusal)
        await delete_dependents_in_batches(view.site.database, User, *(user.id for user in users))

    async def delete(self, rows: Sequence[Any]) -> None:
        for user in rows:
            await delete_personal_data(self.session, self.request.app.state.features, user)
        await super().delete(rows)


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
        if group_changes := await set_groups(session, request, row, values["groups"]):
            await get_confirmed_user(request, request.state.user)
            user_actions.record_staff_change(session, request, row, "updated_by_staff", fields=["Groups"])
        return group_changes


class UserAdmin(ImpersonationMixin, PasswordMixin, user_actions.UserActionsMixin, AdminView, model=User):
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
    can_edit_selected = False  # the actions also sign users out and write account events
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
        names = super().get_readonly_fields(request, row)
        return names if is_superuser(request) else (*names, "is_verified")

    # Changes

    async def on_model_change(self, data: dict[str, Any], model: User, is_created: bool, request: Request) -> None:
        if not is_superuser(request):
            keeps_email = data.get("email", model.email) == model.email
            data["is_verified"] = not is_created and model.is_verified and keeps_email
        if is_created:
            return
        session = session_of(model)
        await user_actions.check_may_change(session, model, request)
        for name in ("is_superuser", "is_active"):
            if getattr(model, name) and not data.get(name, True):
                await user_actions.check_superuser_remains(session, model, request, user_actions.OWN_PRIVILEGES, name)
                return

    async def before_save(self, session: AsyncSession, row: User, request: Request, *, is_created: bool) -> None:
        await super().before_save(session, row, request, is_created=is_created)
        written = {} if is_created else dict(changes(row))
        if written.keys() & CONFIRMED_FIELDS or (is_created and row.may_enter_admin):
            await get_confirmed_user(request, request.state.user)
        if email := written.pop("email", None):
            old, new = email
            user_actions.record_staff_change(session, request, row, "email_updated", to=old, old=old, new=new)
        if written:
            fields = [str.__str__(self.labels.get(name, label_of(name))) for name in written]
            user_actions.record_staff_change(session, request, row, "updated_by_staff", fields=fields)

    async def before_delete(self, session: AsyncSession, row: User, request: Request) -> None:
        await user_actions.check_may_change(session, row, request)
        await user_actions.check_superuser_remains(session, row, request, _l("You cannot delete yourself."))

    # Permissions and the page of a user

    async def check_can_edit(self, request: Request, model: User | None) -> bool:
        return await super().check_can_edit(request, model) and (model is None or may_change_user(request, model))

    async def check_can_delete(self, request: Request, model: User | None) -> bool:
        return await super().check_can_delete(request, model) and (model is None or may_change_user(request, model))

    async def columns_of_features(self, request: Request, row: User) -> list[tuple[str, str]]:
        return await user_columns(request, self.site, row)

    async def permission_table(self, request: Request, row: User) -> str:
        """Return the table of the user's permissions by group; empty for staff who may not see groups."""
        if row.is_superuser or not has_staff_permission(request, "group", Action.LIST):
            return ""
        async with self.site.database.reader(fresh=True) as session:
            permissions = await read_permissions_by_group(session, row)
        return readable_table(self.site, permissions).render(has_group_columns=True) if permissions else ""

    def links(self, request: Request, row: User) -> list[tuple[str, str]]:
        impersonation = self.impersonation_link(request, row)
        if not (self.has_permission(request, Action.EDIT) and may_change_user(request, row)):
            return impersonation
        url = str(request.url_for("admin:view-user-set_password", pk=row.id))
        return [*impersonation, (gettext("Set password"), url)]
