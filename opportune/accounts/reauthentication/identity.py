"""Proof of identity before a dangerous change, by password, passkey or code. Pages and API share this code."""

from typing import TypeVar

from opportune.accounts.models import Session, User
from opportune.accounts.reauthentication.service import WrongCredential, check_code, check_password, is_confirmed
from opportune.accounts.schemas import Confirmation, Reauthentication
from opportune.accounts.sessions import cookies
from opportune.accounts.sign_in_methods.passkey_requests import get_passkey_ceremonies
from opportune.accounts.sign_in_methods.second_factor import has_second_factor
from opportune.accounts.sign_in_methods.webauthn import PasskeyRefused
from opportune.accounts.users.context import AccountContext
from opportune.errors import FieldErrors
from opportune.web.forms.forms import Form

M = TypeVar("M", bound=Reauthentication)


async def reauthenticated(context: AccountContext, user: User, form: Form[M]) -> M | None:
    """Return the data of a form that is valid and proves the user's identity; else add the error and return None.

    The template renders the fields with `{{ confirm_identity(form) }}` of macros/confirmation.html.

    Raises:
        TooManyRequests: there were too many wrong attempts.
    """
    if form.data is None or form.errors:
        return None
    try:
        is_complete = await check_identity(context, user, form.data)
    except FieldErrors as errors:
        form.add_errors(errors)
        return None
    if is_complete:
        await _store_confirmation(context)
    return form.data


async def confirm_password(context: AccountContext, user: User, password: str) -> None:
    """Require the current password in an API request.

    Raises:
        WrongCredential: the password is wrong.
        TooManyRequests: there were too many wrong attempts.
    """
    await check_identity(context, user, Reauthentication(current_password=password))


async def check_identity(context: AccountContext, user: User, proof: Reauthentication) -> bool:
    """Check the password or passkey. A recent confirmation in this browser replaces it.

    Returns:
        True if the proof is new and complete. False if a confirmation replaced it, or if the user has a second factor
        and only the password was checked.

    Raises:
        WrongCredential: the password or the passkey is wrong.
        TooManyRequests: there were too many wrong attempts.
    """
    if proof.passkey:
        await _check_passkey(context, user, proof.passkey)
        return True
    if not proof.current_password and is_confirmed(_browser_session(context), user):
        return False
    await check_password(context, user, proof.current_password)
    needs_code = await has_second_factor(context.session, user)
    await context.manager.release()  # ends the transaction, because the caller may count attempts in another one
    return not needs_code


async def confirm_identity(context: AccountContext, user: User, proof: Confirmation) -> None:
    """Check a complete proof, and store the confirmation in the session. Raises as `check_identity`."""
    if await check_full_identity(context, user, proof):
        await _store_confirmation(context)


async def check_full_identity(context: AccountContext, user: User, proof: Confirmation) -> bool:
    """Check a complete proof: a passkey, or the password and the code of a second factor. Raises as `check_identity`.

    Return False if a recent confirmation in this browser replaced the proof.
    """
    if not (proof.current_password or proof.passkey) and is_confirmed(_browser_session(context), user):
        return False
    if not await check_identity(context, user, proof):
        await check_code(context, user, proof.code)
    return True


async def _check_passkey(context: AccountContext, user: User, assertion: str) -> None:
    request = context.manager.request
    try:
        if request:
            await get_passkey_ceremonies(request, context, user).authenticate("confirm", assertion)
            await context.manager.release()
    except PasskeyRefused as refusal:
        raise WrongCredential("current_password", str(refusal)) from None


async def _store_confirmation(context: AccountContext) -> None:
    session = _browser_session(context)
    if session and context.manager.request:
        await cookies.confirm_session(context.session, session, context.manager.request)


def _browser_session(context: AccountContext) -> Session | None:
    """Return the session of the browser; None for a program with a token."""
    request = context.manager.request
    return request.state.session if request else None
