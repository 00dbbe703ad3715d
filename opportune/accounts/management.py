"""Accounts as commands see them: what goes wrong is one line for a person."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.manager import EmailTakenError, InvalidPasswordError, UserManager, find_by_email
from opportune.accounts.models import User
from opportune.accounts.schemas import UserCreate
from opportune.errors import OperatorError

INVALID_CHARACTERS = "The password is not accepted. It holds characters that are no text."


async def create_superuser(session: AsyncSession, email: str, password: str) -> User:
    """Make somebody who may use the admin.

    Raises:
        OperatorError: the e-mail is none or has an account, or the password is too weak.
    """
    with as_operator_error(email):
        new = UserCreate(email=email, password=password)
        # Who has a shell here vouches for the address.
        flags = dict.fromkeys(("is_staff", "is_superuser", "is_verified"), True)
        return await UserManager(session).register(new.email, new.password, **flags)


async def set_password(session: AsyncSession, email: str, password: str) -> User:
    """Give somebody a new password, which ends all of their sessions.

    Raises:
        OperatorError: nobody has this e-mail, or the password is too weak.
    """
    user = await find_user(session, email)
    with as_operator_error(email):
        valid = UserCreate(email=user.email, password=password)
        return await UserManager(session).change(user, password=valid.password)


async def find_user(session: AsyncSession, email: str) -> User:
    """The user with this e-mail, whatever its case.

    Raises:
        OperatorError: nobody has it.
    """
    user = await find_by_email(session, email)
    if user is None:
        raise OperatorError(f"Nobody has the e-mail {email}.")
    return user


@contextmanager
def as_operator_error(email: str) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        field = error.errors(include_input=False)[0]["loc"][0]
        raise OperatorError(f"{email} is no e-mail address." if field == "email" else INVALID_CHARACTERS) from None
    except EmailTakenError:
        raise OperatorError(
            f"{email} has an account already. To make it a superuser: python3 oppman.py users change {email} "
            f"--superuser. For a new password: python3 oppman.py changepassword {email}"
        ) from None
    except InvalidPasswordError as error:
        raise OperatorError(f"The password is not accepted. {error}") from None
