"""`ConfirmedUser` for routes: the signed-in user, after a recent confirmation of their identity."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, HTTPException, Request
from jinja2 import pass_context
from jinja2.runtime import Context

from opportune.accounts.dependencies import CurrentUser, return_path
from opportune.accounts.models import User
from opportune.accounts.reauthentication.service import is_confirmed
from opportune.errors import OperatorError
from opportune.web.errors.handlers import wants_json
from opportune.web.rendering.flash import flash
from opportune.web.rendering.templates import is_htmx

CONFIRM_PATH = "/accounts/confirm"
CONFIRM_FIRST = f"Confirm that it is you first, at {CONFIRM_PATH}."
NOTHING_DONE = "Nothing was done yet: confirm that it is you, then do it again."


async def get_confirmed_user(request: Request, user: CurrentUser) -> User:
    if not is_confirmed(request.state.session, user):
        raise confirmation_required(request)
    return user


ConfirmedUser = Annotated[User, Depends(get_confirmed_user)]


def confirmation_required(request: Request) -> HTTPException:
    """Return the error that leads to the confirmation page and back, or 403 for programs."""
    if wants_json(request):
        return HTTPException(403, CONFIRM_FIRST)
    if request.method != "GET":
        flash(request, NOTHING_DONE, "info")
    address = f"{CONFIRM_PATH}?{urlencode({'next': return_path(request)})}"
    if is_htmx(request):
        return HTTPException(403, headers={"HX-Redirect": address})
    return HTTPException(303, headers={"Location": address})


@pass_context
def is_confirmed_in_template(context: Context) -> bool:
    if "request" not in context:
        raise OperatorError("is_confirmed() does not know who asks in this macro: import it `with context`.")
    state = context["request"].state
    return is_confirmed(state.session, state.user)
