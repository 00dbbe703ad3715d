"""Sign in as another user from the admin, for superusers who have just confirmed their password."""

from typing import Any, cast

from sqladmin import expose
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from wtforms import BooleanField, TextAreaField  # type: ignore[import-untyped]  # has no types
from wtforms.validators import DataRequired, Length, ValidationError  # type: ignore[import-untyped]  # has no types

from opportune.accounts.dependencies import account_context
from opportune.accounts.impersonation.service import (
    ImpersonationRefused,
    impersonation_problem,
    start_impersonation,
)
from opportune.accounts.models import Session, User
from opportune.accounts.reauthentication.dependencies import confirmation_required
from opportune.accounts.reauthentication.service import is_confirmed
from opportune.accounts.sessions.cookies import set_session_cookie
from opportune.admin.authorization import is_superuser
from opportune.admin.forms.admin_form import AdminForm, add_error, read_form_texts
from opportune.admin.log import audit
from opportune.admin.views import AdminView
from opportune.text import storable

MAX_REASON_LENGTH = 200


def _check_text(_form: Any, field: Any) -> None:
    try:
        storable(field.data)
    except ValueError as error:
        raise ValidationError(f"It {error}.") from None


class ImpersonationForm(AdminForm):
    reason = TextAreaField(
        "Reason",
        [DataRequired(), Length(max=MAX_REASON_LENGTH), _check_text],
        filters=[lambda text: " ".join((text or "").split())],
        description="The person reads it, in an e-mail and on the page of what happened to the account.",
        render_kw={"class": "form-control", "rows": 2, "maxlength": MAX_REASON_LENGTH},
    )
    may_write = BooleanField(
        "Allow changes",
        description="Otherwise you only look. What you change is listed on the person's page of account events.",
        render_kw={"class": "form-check-input"},
    )


class ImpersonationMixin(AdminView):
    """Part of the view of users for superusers."""

    logged_fields = ("reason",)

    def impersonation_link(self, request: Request, person: User) -> list[tuple[str, str]]:
        if not is_superuser(request) or impersonation_problem(request.state.user, person):
            return []
        return [("Sign in as …", str(request.url_for("admin:view-user-impersonate", pk=person.id)))]

    @expose("/impersonate/{pk}", methods=["GET", "POST"])
    async def impersonate(self, request: Request) -> Response:
        if not is_superuser(request):
            raise HTTPException(403)
        person = await self.get_object_for_details(request)
        if person is None:
            raise HTTPException(404)
        if problem := impersonation_problem(request.state.user, person):
            raise HTTPException(403, problem)
        here: Session | None = request.state.session
        if here is None or not is_confirmed(here, request.state.user):
            raise confirmation_required(request)
        form = ImpersonationForm(await read_form_texts(request) if request.method == "POST" else None)
        if request.method == "POST" and form.validate():
            try:
                return await self._impersonate(request, here, person, form)
            except ImpersonationRefused as refusal:
                add_error(form.reason, str(refusal))
        context = {"form": form, "obj": person, "model_view": self}
        status = 400 if form.errors else 200
        page = await self.templates.TemplateResponse(request, "admin/impersonate.html", context, status)
        return cast("Response", page)

    async def _impersonate(self, request: Request, here: Session, person: User, form: ImpersonationForm) -> Response:
        """Check the rules again. Raises ImpersonationRefused if they changed after the page was rendered."""
        reason, may_write = form.reason.data, form.may_write.data
        response = RedirectResponse("/", 303)
        async with self.site.database.writer() as session:
            context = account_context(request, session)
            made, token = await start_impersonation(
                context, request.state.user, here, person.id, reason, may_write=may_write
            )
            audit.record_row(session, request, "sign in as", self.identity, person, {"reason": ["", reason]})
        set_session_cookie(request, response, made, token)
        return response
