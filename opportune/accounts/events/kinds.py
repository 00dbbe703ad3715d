"""Kinds of account events, with their texts and e-mails."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from opportune.feature import Feature
from opportune.i18n import gettext_lazy as _l
from opportune.web.static import icons

OTHER_DEVICES_SIGNED_OUT = _l("All other devices are signed out, and all API tokens have ended.")


class EventKind(NamedTuple):
    """A kind of event. A placeholder in its texts, such as `{name}`, is a detail passed to `record_event`."""

    name: str
    words: str
    """Text on the user's page of events, and subject of the e-mail."""
    email: str = ""
    """Text of the e-mail to the user. If it is empty, no e-mail is sent."""
    advice: Literal["password", "mailbox", "site"] = "password"
    """Advice of the e-mail if the user did not cause the event.

    `password`: choose a new password. `mailbox`: secure the mailbox first. `site`: write to the operators of the site.
    """
    icon: str = "ti-user"
    """Name of a Tabler icon."""


KINDS = {
    kind.name: kind
    for kind in (
        EventKind("signed_in", "You signed in", icon="ti-login"),
        EventKind(
            "new_sign_in",
            "New sign-in to your account",
            "There was a sign-in with a new browser or program.",
            icon="ti-login",
        ),
        EventKind("wrong_password", "Wrong passwords were tried: {count}", icon="ti-alert-triangle"),
        EventKind("wrong_code", "The right password was followed by a wrong code", icon="ti-alert-triangle"),
        EventKind("session_ended", "A device was signed out: {device}", icon="ti-logout"),
        EventKind("sessions_ended", "Every other device was signed out", icon="ti-logout"),
        EventKind("all_sessions_ended", "Every device was signed out", icon="ti-logout"),
        EventKind("password_updated", "Your password was changed", OTHER_DEVICES_SIGNED_OUT, icon="ti-lock"),
        EventKind(
            "password_was_reset",
            "You have a new password",
            "It was set by a link that was sent here. All devices are signed out, and all API tokens have ended.",
            "mailbox",
            "ti-lock",
        ),
        EventKind(
            "email_updated",
            "Your e-mail address was changed",
            "The new e-mail address of your account is {new}. We send e-mails there, and you sign in with it.",
            "site",
            "ti-mail",
        ),
        EventKind("email_verified", "Your e-mail address was verified", icon="ti-mail"),
        EventKind(
            "two_factor_on",
            "Two-factor authentication is on",
            "From now on you sign in with your password and a code of your authenticator app. All other devices have"
            " been signed out. API tokens that you created stay.",
            icon="ti-shield-lock",
        ),
        EventKind(
            "two_factor_off",
            "Two-factor authentication is off",
            "From now on you sign in without a code of an authenticator app.",
            icon="ti-shield-lock",
        ),
        EventKind(
            "passkey_created",
            "New passkey: {name}",
            "From now on you can sign in with it, and no longer with your password alone.",
            icon="ti-fingerprint",
        ),
        EventKind(
            "passkey_deleted",
            "A passkey was removed: {name}",
            "It no longer signs you in. Devices that are signed in stay signed in until you sign them out.",
            icon="ti-fingerprint",
        ),
        EventKind("recovery_codes_renewed", "You have new recovery codes", icon="ti-shield-lock"),
        EventKind(
            "token_created",
            "New API token: {name}",
            "Programs with this token can use your account without your password.",
            icon="ti-key",
        ),
        EventKind("token_revoked", "An API token has ended: {name}", icon="ti-key"),
        EventKind("tokens_revoked", "All API tokens have ended", icon="ti-key"),
        EventKind(
            "refresh_token_reused",
            "A program was signed out",
            "Its refresh token was used twice: the program has an error, or another person has a copy of the token."
            " Both are signed out. Sign in again in the program.",
            icon="ti-key",
        ),
        EventKind(
            "account_linked",
            "{label} signs you in now",
            "From now on an account at {label} signs you in, without your password.",
            icon="ti-link",
        ),
        EventKind(
            "account_unlinked",
            "{label} no longer signs you in",
            "Your account at {label} is no longer linked.",
            icon="ti-link",
        ),
        EventKind("data_exported", "Your data was downloaded", icon="ti-download"),
        EventKind(
            "account_deleted",
            "Your account is deleted",
            "It was deleted with all of its data, after a confirmation of your identity.",
            "site",
        ),
        EventKind(
            "impersonated",
            "A superuser signed in as you",
            "A superuser of this site sees it as you do, for at most an hour and without your password. They cannot"
            " change anything. The reason: {reason}",
            icon="ti-spy",
        ),
        EventKind(
            "impersonated_with_changes",
            "A superuser signed in as you, to change something",
            "A superuser of this site uses your account, for at most an hour and without your password. Their changes"
            " are listed on the page Activity of your account. The reason: {reason}",
            icon="ti-spy",
        ),
        EventKind("updated_by_superuser", "A superuser, signed in as you, {changes}", icon="ti-spy"),
        EventKind("impersonation_ended", "The superuser left your account", icon="ti-spy"),
        EventKind("updated_by_staff", "Staff changed your account: {fields}", icon="ti-user-cog"),
    )
}
"""All kinds of events by name."""


def add_event_kinds(features: Iterable[Feature]) -> None:
    for feature in features:
        for kind in feature.accounts.events:
            KINDS[kind.name] = kind
            icons.add(kind.icon)
