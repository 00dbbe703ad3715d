"""Passwords that staff choose for users, in the form of a new user and on a separate page."""

from typing import Any

from pydantic import Field
from sqladmin import expose
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.accounts.admin.events import record_staff_change
from opportune.accounts.admin.user_rules import check_may_change
from opportune.accounts.models import User
from opportune.accounts.passwords import hashing
from opportune.accounts.schemas import NewPassword
from opportune.accounts.users.context import user_manager
from opportune.accounts.users.errors import InvalidPasswordError
from opportune.admin.authorization import is_superuser
from opportune.admin.errors import ValidationRefused
from opportune.admin.log import audit, diff
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView
from opportune.i18n import gettext
from opportune.schemas import Schema
from opportune.web import Form
from opportune.web.forms.forms import fill_form
from opportune.web.rendering.flash import flash


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
            await check_may_change(session, user, request)
            before = {"is_verified": user.is_verified}
            user.hashed_password = hashed
            user.is_verified = user.is_verified and is_superuser(request)
            record_staff_change(session, request, user, "password_updated")
            changed = diff.diff_values(before, {"is_verified": user.is_verified})
            audit.record_row(session, request, "set password", self.identity, user, changed)
