"""Proof of identity before a dangerous change, by password, passkey or code. Pages and API share this code.

`require_password` and `require_identity` check it once. `reauthenticated`, `confirm_identity` and `confirm_by_email`
also store the confirmation in the session, so that the next changes need no proof.
"""

from enum import Enum, auto
from typing import Annotated, TypeVar

from fastapi import Depends, HTTPException, Request
from jinja2 import pass_context
from jinja2.runtime import Context

from opportune.accounts.dependencies import CurrentUser
from opportune.accounts.flows import confirmation
from opportune.accounts.models import User
from opportune.accounts.schemas import Confirmation, EmailConfirmationCode, Reauthentication
from opportune.accounts.sessions import cookies
from opportune.accounts.sign_in_methods.available import confirms_by_email
from opportune.accounts.sign_in_methods.passkey_requests import get_passkey_ceremonies
from opportune.accounts.sign_in_methods.second_factor import has_second_factor
from opportune.accounts.sign_in_methods.webauthn import NOT_STARTED_HERE, PasskeyRefused
from opportune.accounts.sign_in_redirects import find_return_path, make_redirect_error
from opportune.accounts.users.context import AccountContext
from opportune.errors import FieldErrors, OperatorError
from opportune.i18n import gettext_lazy as _l
from opportune.web.errors.problem import wants_json
from opportune.web.forms.forms import Form
from opportune.web.redirects import with_next
from opportune.web.rendering.flash import flash

CONFIRM_PATH = "/accounts/confirm"
CONFIRM_FIRST = _l("Confirm your identity first, at /accounts/confirm.")
NOT_CHANGED_YET = _l("Nothing was changed yet. Confirm your identity, then try again.")

M = TypeVar("M", bound=Reauthentication)


class Proof(Enum):
    """Result of a successful check of the user's identity."""

    CONFIRMED_BEFORE = auto()
    """A recent confirmation in this browser replaced the proof."""
    CODE_MISSING = auto()
    """The password is correct. The code of the second factor was not checked."""
    COMPLETE = auto()


async def get_confirmed_user(request: Request, user: CurrentUser) -> User:
    if not confirmation.is_confirmed(request.state.session, user):
        raise confirmation_required(request)
    return user


ConfirmedUser = Annotated[User, Depends(get_confirmed_user)]


def confirmation_required(request: Request) -> HTTPException:
    """Return the error that redirects browsers to the confirmation page and back. Programs get 403."""
    if request.method != "GET" and not wants_json(request):
        flash(request, NOT_CHANGED_YET, "info")
    url = with_next(CONFIRM_PATH, find_return_path(request))
    return make_redirect_error(request, url, HTTPException(403, CONFIRM_FIRST))


@pass_context
def is_confirmed_in_template(context: Context) -> bool:
    if "request" not in context:
        raise OperatorError("is_confirmed() has no request in this macro. Import the macro `with context`.")
    state = context["request"].state
    return confirmation.is_confirmed(state.session, state.user)


async def reauthenticated(context: AccountContext, user: User, form: Form[M]) -> M | None:
    """Return the data of a form that is valid and proves the user's identity; else add the error and return None.

    The template renders the fields with `{{ confirm_identity(form) }}` of macros/confirmation.html.

    Raises:
        TooManyRequests: There were too many wrong attempts.
    """
    if form.data is None or form.errors:
        return None
    try:
        result = await _check_password_or_passkey(context, user, form.data)
    except FieldErrors as errors:
        form.add_errors(errors)
        return None
    if result is Proof.COMPLETE:
        await _store_confirmation(context)
    return form.data


async def require_password(context: AccountContext, user: User, password: str) -> None:
    """Require the current password in an API request.

    Raises:
        WrongCredential: The password is wrong.
        TooManyRequests: There were too many wrong attempts.
    """
    await _check_password_or_passkey(context, user, Reauthentication(current_password=password))


async def _check_password_or_passkey(context: AccountContext, user: User, proof: Reauthentication) -> Proof:
    """Check the password or passkey. A recent confirmation in this browser replaces it.

    Raises:
        WrongCredential: The password or the passkey is wrong.
        TooManyRequests: There were too many wrong attempts.
    """
    if proof.passkey:
        await _check_passkey(context, user, proof.passkey)
        return Proof.COMPLETE
    if not proof.current_password and confirmation.is_confirmed(context.browser_session, user):
        return Proof.CONFIRMED_BEFORE
    await confirmation.check_password(context, user, proof.current_password)
    needs_code = await has_second_factor(context.session, user)
    await context.session.commit()  # ends the transaction, because the caller may count attempts in another one
    return Proof.CODE_MISSING if needs_code else Proof.COMPLETE


async def require_identity(context: AccountContext, user: User, proof: Confirmation) -> Proof:
    """Check a passkey, or the password and the code of a second factor. A recent confirmation replaces them.

    Raises:
        WrongCredential: The password, the passkey or the code is wrong.
        TooManyRequests: There were too many wrong attempts.
    """
    result = await _check_password_or_passkey(context, user, proof)
    if result is not Proof.CODE_MISSING:
        return result
    await confirmation.check_code(context, user, proof.code)
    return Proof.COMPLETE


async def confirm_identity(context: AccountContext, user: User, proof: Confirmation) -> None:
    """Check as `require_identity`, and store the confirmation in the session."""
    if await require_identity(context, user, proof) is Proof.COMPLETE:
        await _store_confirmation(context)


async def _check_passkey(context: AccountContext, user: User, assertion: str) -> None:
    request = context.manager.request
    if request is None:  # commands and jobs have no browser that started the ceremony
        raise confirmation.WrongCredential("current_password", NOT_STARTED_HERE)
    try:
        await get_passkey_ceremonies(request, context, user).authenticate("confirm", assertion)
    except PasskeyRefused as refusal:
        raise confirmation.WrongCredential("current_password", str(refusal)) from None
    await context.session.commit()


async def _store_confirmation(context: AccountContext) -> None:
    if context.manager.request and context.browser_session:
        await cookies.confirm_session(context.session, context.browser_session, context.manager.request)


async def require_email_confirmation(request: Request, user: CurrentUser) -> None:
    """Raise 404 for tokens, and for users who can confirm their identity by password or passkey."""
    async with request.app.state.database.reader(fresh=True) as session:
        if request.state.session and await confirms_by_email(session, request.app.state.settings, user):
            return
    raise HTTPException(404)


async def confirm_by_email(request: Request, context: AccountContext, user: User, codes: EmailConfirmationCode) -> None:
    """Check the code of the e-mail and of a second factor, and store the confirmation in the session.

    Raises:
        WrongCredential: One of the codes is wrong.
        TooManyRequests: There were too many wrong codes.
    """
    await confirmation.check_emailed_code(context, user, request.state.session, codes.code)
    await context.session.commit()
    if user.has_two_factor:
        await confirmation.check_code(context, user, codes.second_factor)
    await cookies.confirm_session(context.session, request.state.session, request)
