"""Sign-in and registration with an account of another site, and linking of such accounts."""

from sqlalchemy import delete
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import LinkedAccount, User
from opportune.accounts.registration.service import REGISTRATIONS_PER_IP, require_may_register
from opportune.accounts.sign_in_methods.available import (
    count_sign_in_methods,
    find_account_provider,
    find_linked_accounts,
    get_account_label,
)
from opportune.accounts.sign_in_methods.providers import Identity, Provider, SocialSignInRefused
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import CHANGED_MEANWHILE, EmailTakenError, RegistrationClosedError
from opportune.errors import NotFound
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.rate_limit import RateLimit

STARTS_PER_IP = RateLimit("accounts.social_starts_per_address", 60)
FAILURES_PER_IP = RateLimit("accounts.social_failures_per_address", 20)
NOT_SHARED = _l(
    "%(label)s does not share your e-mail address. Register here first, then add %(label)s on your profile."
)
NOT_VERIFIED = _l(
    "%(label)s has not verified %(email)s. Register here with that address, then add %(label)s on your profile."
)
TAKEN = _l("There is already an account with %(email)s. Sign in to it, then add %(label)s on your profile.")
LINKED_TO_YOU = _l("That account at %(label)s is already linked to your account.")
LINKED_TO_ANOTHER = _l("That account at %(label)s is already linked to another account.")


async def sign_in_with(context: AccountContext, provider: Provider, identity: Identity) -> tuple[User, bool]:
    """Return the user of an identity, and whether they were just registered. A second factor may still be required.

    Raises:
        SocialSignInRefused: with a message for the user.
        TooManyRequests: too many accounts were created from this address.
    """
    manager = context.manager
    user = await manager.user_db.get_by_oauth_account(identity.issuer, identity.subject)
    await manager.release()
    if user is None:
        return await _register(context, provider, identity), True
    if not await manager.is_unchanged(user):
        raise SocialSignInRefused("This account is deactivated.")
    return user, False


async def _register(context: AccountContext, provider: Provider, identity: Identity) -> User:
    if not identity.email:
        raise _refusal(NOT_SHARED, provider, identity)
    if not identity.email_is_verified:
        raise _refusal(NOT_VERIFIED, provider, identity)
    await context.limiter.hit(REGISTRATIONS_PER_IP.by(context.client.address))
    try:
        await require_may_register(context, identity.email)
        return await context.manager.oauth_callback(
            identity.issuer, "", identity.subject, identity.email, is_verified_by_default=True
        )
    except RegistrationClosedError as refusal:
        raise SocialSignInRefused(str(refusal)) from None
    except EmailTakenError:
        raise _refusal(TAKEN, provider, identity) from None


def _refusal(message: str, provider: Provider, identity: Identity) -> SocialSignInRefused:
    return SocialSignInRefused(gettext(message, label=provider.label, email=identity.email))


async def link(context: AccountContext, provider: Provider, identity: Identity, user: User) -> None:
    """Link an identity to a user, and notify the user by e-mail.

    Raises:
        SocialSignInRefused: the identity is linked already.
        AccountLinkedError: another request has just linked it.
    """
    manager = context.manager
    if not await manager.is_unchanged(user):
        raise SocialSignInRefused(CHANGED_MEANWHILE)
    linked_user = await manager.user_db.get_by_oauth_account(identity.issuer, identity.subject)
    if linked_user is not None:
        message = LINKED_TO_YOU if linked_user.id == user.id else LINKED_TO_ANOTHER
        raise _refusal(message, provider, identity)
    values = {"oauth_name": identity.issuer, "account_id": identity.subject, "account_email": identity.email}
    await manager.user_db.add_oauth_account(user, values)
    record_event(context, user, "account_linked", label=provider.label)


async def unlink(context: AccountContext, user: User, row_id: int) -> None:
    """Unlink an account, and notify the user by e-mail.

    Raises:
        NotFound: the user has no such account.
        SocialSignInRefused: it is the user's last sign-in method.
    """
    # `is_unchanged` locks the user, so that two concurrent requests cannot remove the last two methods.
    if not await context.manager.is_unchanged(user):
        raise SocialSignInRefused(CHANGED_MEANWHILE)
    accounts = await find_linked_accounts(context.session, user)
    account = next((row for row in accounts if row.id == row_id), None)
    if account is None:
        raise NotFound
    methods = await count_sign_in_methods(context.session, context.settings, user)
    if methods.total <= (find_account_provider(context.settings, account) is not None):
        raise SocialSignInRefused("This is your only sign-in method. Choose a password first.")
    await context.session.execute(delete(LinkedAccount).where(col(LinkedAccount.id) == row_id))
    record_event(context, user, "account_unlinked", label=get_account_label(context.settings, account))
