"""What the pages about one's own account have in common."""

from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts import letters
from opportune.accounts.manager import NOT_CURRENT, UserManager
from opportune.accounts.models import User
from opportune.accounts.own.confirming import is_current_password
from opportune.accounts.schemas import Confirmed
from opportune.web.forms.forms import Form
from opportune.web.rendering.flash import flash
from opportune.web.rendering.templates import templates

M = TypeVar("M", bound=Confirmed)


def show(request: Request, name: str, status: int = 200, /, **context: Any) -> Response:
    context = {**context, "mail_leaves": letters.leave(request.app.state.settings)}
    return templates.page(request, f"accounts/{name}.html", context, status)


def done(request: Request, page: str, words: str) -> Response:
    """Back to a page, which then says what has been done."""
    flash(request, words)
    return RedirectResponse(f"/accounts/{page}", 303)


async def confirmed(request: Request, manager: UserManager, user: User, form: Form[M]) -> M | None:
    """What a valid form says, if it also holds their current password; if it does not, the form says so.

    Raises:
        TooMany: it was guessed too often.
    """
    if form.data is None or form.errors:
        return None
    if await is_current_password(request, manager, user, form.data.current_password):
        return form.data
    form.refuse(NOT_CURRENT, "current_password")
    return None
