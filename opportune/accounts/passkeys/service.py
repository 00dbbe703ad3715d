"""Changes to a user's passkeys."""

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import Passkey, User
from opportune.accounts.sign_in_methods import second_factor
from opportune.accounts.sign_in_methods.available import count_sign_in_methods
from opportune.accounts.sign_in_methods.passkeys import find_passkeys
from opportune.accounts.sign_in_methods.second_factor import delete_recovery_codes, has_second_factor
from opportune.accounts.sign_in_methods.webauthn import PasskeyRefused
from opportune.accounts.users.context import AccountContext, user_manager
from opportune.accounts.users.errors import CHANGED_MEANWHILE
from opportune.errors import NotFound
from opportune.i18n import gettext_lazy as _l

LAST_SIGN_IN_METHOD = _l("This is your only sign-in method. Choose a password first.")


async def update_passkey(session: AsyncSession, user: User, row_id: int, name: str) -> None:
    """Rename a passkey. Raises NotFound if the user has no such passkey."""
    statement = update(Passkey).where(col(Passkey.id) == row_id, col(Passkey.user_id) == user.id)
    if await session.scalar(statement.values(name=name).returning(col(Passkey.id))) is None:
        raise NotFound


async def delete_passkey(context: AccountContext, user: User, row_id: int) -> None:
    """Remove a passkey, and notify the user by e-mail.

    Raises:
        NotFound: the user has no such passkey.
        PasskeyRefused: it is the user's last sign-in method, or the account was changed at the same moment.
    """
    session = context.session
    # `is_unchanged` locks the user, so that two concurrent requests cannot remove the last two methods.
    if not await context.manager.is_unchanged(user):
        raise PasskeyRefused(CHANGED_MEANWHILE)
    passkey = next((row for row in await find_passkeys(session, user) if row.id == row_id), None)
    if passkey is None:
        raise NotFound
    if passkey.verifies_user and (await count_sign_in_methods(session, context.settings, user)).total <= 1:
        raise PasskeyRefused(LAST_SIGN_IN_METHOD)
    await session.execute(delete(Passkey).where(col(Passkey.id) == row_id))
    if not await has_second_factor(session, user):
        await delete_recovery_codes(session, user)
    record_event(context, user, "passkey_deleted", name=passkey.name)


async def reset_two_factor(session: AsyncSession, user: User) -> None:
    """Remove the second factors. Passkeys stay if they are the only sign-in method."""
    await second_factor.disable(session, user)
    if (await count_sign_in_methods(session, user_manager(session).settings, user)).without_passkeys:
        await session.execute(delete(Passkey).where(col(Passkey.user_id) == user.id))
        await delete_recovery_codes(session, user)
