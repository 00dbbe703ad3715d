"""Errors of changes to accounts, and their messages."""

from opportune.accounts.models import User
from opportune.errors import FieldErrors, Refused
from opportune.i18n import gettext_lazy as _l

EMAIL_TAKEN = _l("There is already an account with this e-mail.")
WRONG_CURRENT_PASSWORD = _l("This is not your current password.")
NO_PASSWORD = _l("You have no password yet. Choose one on the page Password first.")
CHANGED_MEANWHILE = _l("The account was changed at the same moment. Please try again.")
INVALID_LINK = _l("This link is invalid, has expired, or has been used.")


class InvalidPasswordError(FieldErrors):
    """A new password is refused; the message explains why."""

    def __init__(self, message: str) -> None:
        super().__init__({"password": message})


class RegistrationClosedError(Refused):
    """This address may not register; the message explains what to do."""

    status = 403


class EmailTakenError(Refused):
    """Another account has this e-mail, in upper or lower case."""

    def __init__(self) -> None:
        super().__init__(EMAIL_TAKEN)


class AccountLinkedError(Exception):
    """The account of the other site is already linked to a user."""


class InvalidLinkError(Refused):
    """The link was not made by this site, is too old, or has been used."""

    status = 410

    def __init__(self) -> None:
        super().__init__(INVALID_LINK)


def wrong_password(user: User) -> str:
    """Return the message for a missing or wrong current password."""
    return WRONG_CURRENT_PASSWORD if user.has_password else NO_PASSWORD
