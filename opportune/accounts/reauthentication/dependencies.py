"""`ConfirmedUser` for routes: the signed-in user, after a recent confirmation of their identity."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, HTTPException, Request
from jinja2 import pass_context
from jinja2.runtime import Context

from opportune.accounts.dependencies import CurrentUser
from opportune.accounts.models import User
from opportune.accounts.reauthentication.service import is_confirmed
from opportune.accounts.sign_in_redirects import find_return_path, make_redirect_error
from opportune.errors import OperatorError
from opportune.i18n import gettext_lazy as _l
from opportune.web.errors.problem import wants_json
from opportune.web.rendering.flash import flash

CONFIRM_PATH = "/accounts/confirm"
CONFIRM_FIRST = _l("Confirm your identity first, at /accounts/confirm.")
NOT_CHANGED_YET = _l("Nothing was changed yet. Confirm your identity, then try again.")


async def get_confirmed_user(request: Request, user: CurrentUser) -> User:
    if not is_confirmed(request.state.session, user):
        raise confirmation_required(request)
    return user


ConfirmedUser = Annotated[User, Depends(get_confirmed_user)]


def confirmation_required(request: Request) -> HTTPException:
    """Return the error that redirects browsers to the confirmation page and back. Programs get 403."""
    if request.method != "GET" and not wants_json(request):
        flash(request, NOT_CHANGED_YET, "info")
    url = f"{CONFIRM_PATH}?{urlencode({'next': find_return_path(request)})}"
    return make_redirect_error(request, url, HTTPException(403, CONFIRM_FIRST))


@pass_context
def is_confirmed_in_template(context: Context) -> bool:
    if "request" not in context:
        raise OperatorError("is_confirmed() has no request in this macro. Import the macro `with context`.")
    state = context["request"].state
    return is_confirmed(state.session, state.user)
