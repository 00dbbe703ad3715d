"""Accounts as commands see them: what goes wrong is one line for a person."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.manager import InvalidPasswordException, UserAlreadyExists, UserManager
from app.accounts.models import User
from app.accounts.schemas import Registration
from app.core.errors import OperatorError

UNREADABLE = "The password is not accepted. It holds characters that are no text."


async def create_superuser(session: AsyncSession, email: str, password: str) -> User:
    """Make somebody who may use the admin.

    Raises:
        OperatorError: the e-mail is none or has an account, or the password is too weak.
    """
    with in_one_line(email):
        new = Registration(email=email, password=password)
        user = await UserManager(session).register(new.email, new.password, is_superuser=True)
    # Who has a shell here vouches for the address.
    user.is_staff = user.is_verified = True
    return user


async def set_password(session: AsyncSession, email: str, password: str) -> User:
    """Give somebody a new password, which ends all of their sessions.

    Raises:
        OperatorError: nobody has this e-mail, or the password is too weak.
    """
    user = await find_user(session, email)
    with in_one_line(email):
        valid = Registration(email=user.email, password=password)
        return await UserManager(session).change(user, password=valid.password)


async def find_user(session: AsyncSession, email: str) -> User:
    """The user with this e-mail, whatever its case.

    Raises:
        OperatorError: nobody has it.
    """
    user = await session.scalar(select(User).where(func.lower(User.email) == email.strip().lower()))
    if user is None:
        raise OperatorError(f"Nobody has the e-mail {email}.")
    return user


@contextmanager
def in_one_line(email: str) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        field = error.errors(include_input=False)[0]["loc"][0]
        raise OperatorError(f"{email} is no e-mail address." if field == "email" else UNREADABLE) from None
    except UserAlreadyExists:
        raise OperatorError(f"{email} has an account already. For a new password: changepassword {email}") from None
    except InvalidPasswordException as error:
        raise OperatorError(f"The password is not accepted. {error.reason}") from None
