"""Sign in as another user from the admin, for superusers who have just confirmed their password."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from sqladmin import expose
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.accounts.dependencies import make_account_context
from opportune.accounts.impersonation.service import (
    ImpersonationRefused,
    find_impersonation_problem,
    start_impersonation,
)
from opportune.accounts.models import Session, User
from opportune.accounts.reauthentication.dependencies import confirmation_required
from opportune.accounts.reauthentication.service import is_confirmed
from opportune.accounts.sessions.cookies import set_session_cookie
from opportune.admin.authorization import is_superuser
from opportune.admin.log import audit
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView
from opportune.i18n import gettext
from opportune.schemas import Schema
from opportune.schemas.annotations import FieldOptions
from opportune.schemas.text import Text
from opportune.web import Form
from opportune.web.forms.forms import fill_form

MAX_REASON_LENGTH = 200


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
        user = await self.get_object_for_details(request)
        if user is None:
            raise HTTPException(404)
        if problem := find_impersonation_problem(request.state.user, user):
            raise HTTPException(403, problem)
        current: Session | None = request.state.session
        if current is None or not is_confirmed(current, request.state.user):
            raise confirmation_required(request)
        form = Form(Impersonation)
        if request.method == "POST" and (data := (await fill_form(request, form)).data):
            try:
                return await self._impersonate(request, current, user, data)
            except ImpersonationRefused as refusal:
                form.refuse(str(refusal), "reason")
        context = {"form": form, "obj": user, "model_view": self}
        status = 400 if form.errors else 200
        return await render_page(request, self, "admin/impersonate.html", context, status)

    async def _impersonate(self, request: Request, current: Session, user: User, data: Impersonation) -> Response:
        """Start the session. Raises ImpersonationRefused if a rule has forbidden it since the page was rendered."""
        response = RedirectResponse("/", 303)
        async with self.site.database.writer() as session:
            context = make_account_context(request, session)
            new_session, token = await start_impersonation(
                context, request.state.user, current, user.id, data.reason, may_write=data.may_write
            )
            audit.record_row(session, request, "sign in as", self.identity, user, {"reason": ["", data.reason]})
        set_session_cookie(request, response, new_session, token)
        return response
