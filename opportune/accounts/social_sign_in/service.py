"""Sign-in, registration and linking by an account of another site."""

from sqlalchemy import delete
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import LinkedAccount, User
from opportune.accounts.registration.service import REGISTRATIONS_PER_ADDRESS, require_registration
from opportune.accounts.sign_in_methods.available import count_sign_in_methods
from opportune.accounts.sign_in_methods.linked_accounts import label_of, linked_accounts, provider_of
from opportune.accounts.sign_in_methods.providers import Identity, Provider, SocialSignInRefused
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import CHANGED_MEANWHILE, EmailTakenError, RegistrationClosedError
from opportune.errors import NotFound
from opportune.web.rate_limit import RateLimit

STARTS_PER_ADDRESS = RateLimit("accounts.social_starts_per_address", 60)
FAILURES_PER_ADDRESS = RateLimit("accounts.social_failures_per_address", 20)


async def sign_in_with(context: AccountContext, provider: Provider, who: Identity) -> tuple[User, bool]:
    """Return the user of an account, and whether they are new. A second factor may still be required.

    Raises:
        SocialSignInRefused: with a message for the user.
        TooManyRequests: too many accounts were created from this address.
    """
    manager = context.manager
    user = await manager.user_db.get_by_oauth_account(who.issuer, who.subject)
    await manager.release()
    if user is None:
        return await _register(context, provider, who), True
    if not await manager.is_unchanged(user):
        raise SocialSignInRefused("This account is deactivated.")
    return user, False


async def _register(context: AccountContext, provider: Provider, who: Identity) -> User:
    label = provider.label
    if not who.email:
        raise SocialSignInRefused(
            f"{label} does not share your e-mail address. Register here first, then add {label} on your profile."
        )
    if not who.email_is_verified:
        raise SocialSignInRefused(
            f"{label} has not verified {who.email}. Register here with that address, then add {label} on your profile."
        )
    await context.limiter.hit(REGISTRATIONS_PER_ADDRESS.by(context.client.address))
    try:
        await require_registration(context, who.email)
        return await context.manager.oauth_callback(who.issuer, "", who.subject, who.email, is_verified_by_default=True)
    except RegistrationClosedError as refusal:
        raise SocialSignInRefused(str(refusal)) from None
    except EmailTakenError:
        raise SocialSignInRefused(
            f"There is already an account with {who.email}. Sign in to it, then add {label} on your profile."
        ) from None


async def link(context: AccountContext, provider: Provider, who: Identity, user: User) -> None:
    """Link an account to a user, who is notified by e-mail.

    Raises:
        SocialSignInRefused: the account is linked already.
        AccountLinkedError: another request has just linked it.
    """
    manager = context.manager
    if not await manager.is_unchanged(user):
        raise SocialSignInRefused(CHANGED_MEANWHILE)
    holder = await manager.user_db.get_by_oauth_account(who.issuer, who.subject)
    if holder is not None:
        owner = "your account" if holder.id == user.id else "another account"
        raise SocialSignInRefused(f"That account at {provider.label} is already linked to {owner}.")
    created = {"oauth_name": who.issuer, "account_id": who.subject, "account_email": who.email}
    await manager.user_db.add_oauth_account(user, created)
    record_event(context, user, "account_linked", label=provider.label)


async def unlink(context: AccountContext, user: User, row_id: int) -> None:
    """Unlink an account; the user is notified by e-mail.

    Raises:
        NotFound: the user has no such account.
        SocialSignInRefused: it is the last sign-in method.
    """
    if not await context.manager.is_unchanged(
        user
    ):  # locks the user, so that of two requests the second sees what the first leaves
        raise SocialSignInRefused(CHANGED_MEANWHILE)
    linked = await linked_accounts(context.session, user)
    row = next((each for each in linked if each.id == row_id), None)
    if row is None:
        raise NotFound
    methods = await count_sign_in_methods(context.session, context.settings, user)
    if methods.total <= (provider_of(context.settings, row) is not None):
        raise SocialSignInRefused("This is your only sign-in method. Choose a password first.")
    await context.session.execute(delete(LinkedAccount).where(col(LinkedAccount.id) == row_id))
    record_event(context, user, "account_unlinked", label=label_of(context.settings, row))
