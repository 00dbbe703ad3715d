"""Proof of identity before a dangerous change, by password, passkey or code; the same for pages and the API."""

from typing import TypeVar

from opportune.accounts.models import Session, User
from opportune.accounts.reauthentication.service import WrongCredential, check_code, check_password, is_confirmed
from opportune.accounts.schemas import Confirmation, Reauthentication
from opportune.accounts.sessions import cookies
from opportune.accounts.sign_in_methods.passkey_requests import passkey_ceremonies
from opportune.accounts.sign_in_methods.second_factor import has_second_factor
from opportune.accounts.sign_in_methods.webauthn import PasskeyRefused
from opportune.accounts.users.context import AccountContext
from opportune.errors import FieldErrors
from opportune.web.forms.forms import Form

M = TypeVar("M", bound=Reauthentication)


async def reauthenticated(context: AccountContext, user: User, form: Form[M]) -> M | None:
    """Return the data of a valid form that also proves the user's identity; else show the error in the form.

    The template renders the fields with `{{ confirm_identity(form) }}` of macros/confirmation.html.

    Raises:
        TooManyRequests: there were too many wrong attempts.
    """
    if form.data is None or form.errors:
        return None
    try:
        is_full = await show_identity(context, user, form.data)
    except FieldErrors as errors:
        form.show(errors)
        return None
    if is_full:
        await _remember(context)
    return form.data


async def confirm_password(context: AccountContext, user: User, password: str) -> None:
    """Require the current password in an API request.

    Raises:
        WrongCredential: the password is wrong.
        TooManyRequests: there were too many wrong attempts.
    """
    await show_identity(context, user, Reauthentication(current_password=password))


async def show_identity(context: AccountContext, user: User, proof: Reauthentication) -> bool:
    """Accept a recent confirmation in this browser, the password or a passkey.

    Return whether the proof was complete: with a second factor, the password alone is not.

    Raises:
        WrongCredential: the password or the passkey is wrong.
        TooManyRequests: there were too many wrong attempts.
    """
    if proof.passkey:
        await _check_passkey(context, user, proof.passkey)
        return True
    if not proof.current_password and is_confirmed(_session_of(context), user):
        return False
    await check_password(context, user, proof.current_password)
    needs_more = await has_second_factor(context.session, user)
    await context.manager.release()  # the caller may count attempts in another transaction
    return not needs_more


async def confirm_identity(context: AccountContext, user: User, proof: Confirmation) -> None:
    """Require a complete proof, and remember it in the session. Raises as `show_identity`."""
    if await show_full_identity(context, user, proof):
        await _remember(context)


async def show_full_identity(context: AccountContext, user: User, proof: Confirmation) -> bool:
    """Require a complete proof or a recent confirmation; return whether the proof is new. Raises as `show_identity`."""
    if not (proof.current_password or proof.passkey) and is_confirmed(_session_of(context), user):
        return False
    if not await show_identity(context, user, proof):
        await check_code(context, user, proof.code)
    return True


async def _check_passkey(context: AccountContext, user: User, answer: str) -> None:
    request = context.manager.request
    try:
        if request:
            await passkey_ceremonies(request, context, user).show("confirm", answer)
            await context.manager.release()
    except PasskeyRefused as refusal:
        raise WrongCredential("current_password", str(refusal)) from None


async def _remember(context: AccountContext) -> None:
    here = _session_of(context)
    if here and context.manager.request:
        await cookies.confirm_session(context.session, here, context.manager.request)


def _session_of(context: AccountContext) -> Session | None:
    """Return the session of the browser; None for programs."""
    request = context.manager.request
    return request.state.session if request else None
