"""Errors of changes to accounts, and the messages they show."""

from opportune.accounts.models import User

EMAIL_TAKEN = "There is an account with this e-mail already."
WRONG_CURRENT_PASSWORD = "This is not your current password."
NO_PASSWORD = "You have no password yet. Choose one on the page Password first."
CHANGED_MEANWHILE = "The account was changed at the same moment. Please try again."


class InvalidPasswordError(Exception):
    """A new password is refused; the message tells the user why."""


class RegistrationClosedError(Exception):
    """This address may not register; the message tells the visitor what to do."""


class EmailTakenError(Exception):
    """Another account has this e-mail, in upper or lower case."""


class AccountLinkedError(Exception):
    """The account of the other site is linked to a user already."""


class InvalidLinkError(Exception):
    """The link was not made by this site, is too old, or has been used."""


def wrong_password(user: User) -> str:
    """Return the message for a missing or wrong current password."""
    return WRONG_CURRENT_PASSWORD if user.has_password else NO_PASSWORD
