"""Changes to accounts, for commands. Each `OperatorError` is one line for the terminal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.deletion.service import delete_personal_data, find_deletion_refusal
from opportune.accounts.events.service import record_event
from opportune.accounts.groups.service import require_other_superuser
from opportune.accounts.models import User
from opportune.accounts.schemas import EMAIL_ADAPTER, UserCreate
from opportune.accounts.users.context import user_manager
from opportune.accounts.users.errors import EmailTakenError, InvalidPasswordError
from opportune.accounts.users.lookup import find_by_email
from opportune.db.database import Database
from opportune.db.queries.batches import delete_dependents_in_batches
from opportune.errors import OperatorError
from opportune.feature import Feature

INVALID_CHARACTERS = "The password is not accepted. It contains invalid characters."  # not translated


async def create_superuser(session: AsyncSession, email: str, password: str) -> User:
    """Create a superuser.

    Raises:
        OperatorError: the e-mail is invalid or has an account, or the password is too weak.
    """
    # The address is verified, because only operators of the site can run this command.
    return await add_user(session, email, password, is_staff=True, is_superuser=True, is_verified=True)


async def set_password(session: AsyncSession, email: str, password: str) -> User:
    """Set a new password, which ends all sessions of the user.

    Raises:
        OperatorError: the user does not exist, or the password is too weak.
    """
    user = await find_user(session, email)
    with as_operator_error(email):
        credentials = UserCreate(email=user.email, password=password)
        user = await user_manager(session).change(user, password=credentials.password)
    record_event(session, user, "updated_by_staff", fields="Password")
    return user


async def add_user(session: AsyncSession, email: str, password: str, **flags: bool) -> User:
    """Create a user with these flags.

    Raises:
        OperatorError: the e-mail is invalid or has an account, or the password is too weak.
    """
    with as_operator_error(email):
        credentials = UserCreate(email=email, password=password)
        return await user_manager(session).register(credentials.email, credentials.password, **flags)


def normalise_email(email: str) -> str:
    """Return a normalised e-mail.

    Raises:
        OperatorError: the e-mail is invalid.
    """
    try:
        return EMAIL_ADAPTER.validate_python(email)
    except ValidationError:
        raise OperatorError(f"{email} is not a valid e-mail address.") from None


async def check_new_email(session: AsyncSession, email: str) -> None:
    """Check that an account with this e-mail can be created, before a command asks for more.

    Raises:
        OperatorError: the e-mail is invalid or has an account.
    """
    normalise_email(email)
    with as_operator_error(email):
        if await find_by_email(session, email):
            raise EmailTakenError


async def change_email(session: AsyncSession, user: User, email: str) -> User:
    """Change a user's e-mail. The new address is unverified.

    Raises:
        OperatorError: the e-mail is invalid or belongs to another account.
    """
    normalised = normalise_email(email)
    with as_operator_error(email):
        user = await user_manager(session).change(user, email=normalised)
    record_event(session, user, "updated_by_staff", fields="E-mail")
    return user


async def delete_user(session: AsyncSession, database: Database, features: Sequence[Feature], email: str) -> User:
    """Delete a user with all personal data. The user is not notified.

    Raises:
        OperatorError: the user does not exist, is the last superuser, or is needed by a feature.
    """
    user = await find_user(session, email)
    await _require_deletable(session, features, user)
    await user_manager(session).release()  # so that other requests can write during a long deletion
    await delete_dependents_in_batches(database, User, user.id)
    await _require_deletable(session, features, user)
    await delete_personal_data(session, features, user)
    await user_manager(session).delete(user)
    return user


async def _require_deletable(session: AsyncSession, features: Sequence[Feature], user: User) -> None:
    await require_other_superuser(session, user)
    if refusal := await find_deletion_refusal(session, features, user):
        raise OperatorError(refusal)


async def find_user(session: AsyncSession, email: str) -> User:
    """Return the user with this e-mail, in upper or lower case.

    Raises:
        OperatorError: the user does not exist.
    """
    user = await find_by_email(session, email)
    if user is None:
        raise OperatorError(f"There is no user with the e-mail {email}.")
    return user


@contextmanager
def as_operator_error(email: str) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        field = error.errors(include_input=False)[0]["loc"][0]
        message = f"{email} is not a valid e-mail address." if field == "email" else INVALID_CHARACTERS
        raise OperatorError(message) from None
    except EmailTakenError:
        raise OperatorError(
            f"{email} already has an account. To make it a superuser: python3 oppman.py users change {email} "
            f"--superuser. For a new password: python3 oppman.py changepassword {email}"
        ) from None
    except InvalidPasswordError as error:
        raise OperatorError(f"The password is not accepted. {error}") from None
