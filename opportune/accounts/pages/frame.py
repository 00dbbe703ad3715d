"""What the pages about one's own account have in common."""

from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts import emails
from opportune.accounts.manager import WRONG_CURRENT_PASSWORD, UserManager
from opportune.accounts.models import User
from opportune.accounts.reauthentication import reauthenticate
from opportune.accounts.schemas import Reauthentication
from opportune.web.forms.forms import Form
from opportune.web.rendering.flash import flash
from opportune.web.rendering.templates import templates

M = TypeVar("M", bound=Reauthentication)


def show(request: Request, name: str, status: int = 200, /, **context: Any) -> Response:
    context = {**context, "mail_leaves": emails.email_is_enabled(request.app.state.settings)}
    return templates.render(request, f"accounts/{name}.html", context, status)


def done(request: Request, page: str, words: str) -> Response:
    """Back to a page, which then says what has been done."""
    flash(request, words)
    return RedirectResponse(f"/accounts/{page}", 303)


async def reauthenticated(request: Request, manager: UserManager, user: User, form: Form[M]) -> M | None:
    """What a valid form says, if it also holds their current password; if it does not, the form says so.

    Raises:
        TooMany: it was guessed too often.
    """
    if form.data is None or form.errors:
        return None
    if await reauthenticate(request, manager, user, form.data.current_password):
        return form.data
    form.refuse(WRONG_CURRENT_PASSWORD, "current_password")
    return None
