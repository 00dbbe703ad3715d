from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, EmailStr, Field, StringConstraints, TypeAdapter

from opportune.config.email_domains import accept_development_domains
from opportune.schemas import Schema
from opportune.schemas.annotations import FieldOptions
from opportune.text import Line, Password


def _lower(text: str) -> str:
    """Call `str.lower`, whose signature Pydantic analyses slowly."""
    return text.lower()


Email = Annotated[EmailStr, BeforeValidator(accept_development_domains), AfterValidator(_lower)]
EMAIL_ADAPTER: TypeAdapter[str] = TypeAdapter(Email, config=ConfigDict(defer_build=True))
"""Validates an address outside a schema."""
LinkToken = Annotated[Line, StringConstraints(max_length=2000)]
AUTOCOMPLETE_OF_NEW = "new-password"
TOKEN_LIFETIMES = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "A year"}

# The manager's `validate_password` checks the rules. Pages add the minimum length, which is a setting.
NewPassword = Annotated[Password, FieldOptions(autocomplete=AUTOCOMPLETE_OF_NEW, maxlength=1024)]
ExistingPassword = Annotated[Password, FieldOptions(autocomplete="current-password")]
SecondFactor = Annotated[
    Line,
    FieldOptions(autocomplete="one-time-code", maxlength=40),
    Field(title="Code of your app, or a recovery code", max_length=100),
]


class UserCreate(Schema):
    email: Annotated[Email, FieldOptions(autocomplete="username")] = Field(title="E-mail")
    password: NewPassword


class FirstSuperuserCreate(UserCreate):
    token: Annotated[Line, FieldOptions(type="hidden")] = ""


class SignIn(Schema):
    email: Annotated[Line, FieldOptions(type="email", autocomplete="username")] = Field(title="E-mail")
    password: ExistingPassword
    remember: bool = Field(False, title="Remember me on this device")


class SignInCode(Schema):
    code: SecondFactor


class SocialSignIn(Schema):
    """Sent beside e-mail and password, which are ignored."""

    remember: bool = False


class EmailRequest(Schema):
    email: Annotated[Email, FieldOptions(autocomplete="username")] = Field(title="E-mail")


class EmailSignIn(EmailRequest):
    """Sent beside the password of the sign-in form, which is ignored."""

    remember: bool = Field(False, title="Remember me on this device")


class EmailSignInCode(Schema):
    code: Annotated[
        Line, FieldOptions(autocomplete="one-time-code", inputmode="numeric", maxlength=20), Field(max_length=100)
    ] = Field(title="Code from the e-mail")


class EmailConfirmationCode(EmailSignInCode):
    second_factor: SecondFactor = ""


class EmailSignInLink(Schema):
    token: Annotated[LinkToken, FieldOptions(type="hidden")]
    remember: bool = Field(False, title="Remember me on this device")


class EmailToken(Schema):
    token: Annotated[LinkToken, FieldOptions(type="hidden")]


class EmailVerification(EmailToken):
    """Proof of an address, with the password of the account or registration."""

    password: ExistingPassword = Field("", title="The password that you chose here")


class PasswordReset(EmailToken):
    password: NewPassword = Field(title="New password")


Scopes = Annotated[list[str], BeforeValidator(lambda value: value.split() if isinstance(value, str) else value)]


class Credentials(Schema):
    """Credentials of programs, with OAuth's field names."""

    username: Line
    password: Password
    code: Annotated[Line, StringConstraints(max_length=100)] = ""
    scope: Annotated[Line, StringConstraints(max_length=1000)] = ""
    """Requested scopes separated by spaces; all allowed scopes if empty."""


class PasskeyRequest(Schema):
    """A script's question before a passkey ceremony."""

    purpose: Literal["sign-in", "second-step", "add", "confirm"] = "sign-in"


PasskeyAnswer = Annotated[str, FieldOptions(type="hidden")]
"""The assertion of a device, sent by the site's script."""


class PasskeySignIn(Schema):
    """Sent beside e-mail and password, which are ignored."""

    passkey: PasskeyAnswer = ""
    remember: bool = False


class PasskeyUpdate(Schema):
    name: Annotated[Line, FieldOptions(autocomplete="off")] = Field(
        min_length=1, max_length=100, description="To know it again."
    )


class PasskeyCreate(PasskeyUpdate):
    passkey: PasskeyAnswer = ""


class Reauthentication(Schema):
    """Proof of identity for dangerous changes: password or passkey, unless the session is confirmed."""

    current_password: ExistingPassword = ""
    passkey: PasskeyAnswer = ""


class Confirmation(Reauthentication):
    """A complete proof of identity."""

    code: SecondFactor = ""


class LinkRequest(Reauthentication):
    """Links an account of another site."""

    provider: Annotated[Line, FieldOptions(type="hidden")] = ""


class EmailUpdate(Reauthentication):
    email: Annotated[Email, FieldOptions(autocomplete="email")] = Field(title="New e-mail")


class PasswordUpdate(Reauthentication):
    new_password: NewPassword = Field(title="New password")


class TokenCreate(Reauthentication):
    name: Annotated[Line, FieldOptions(autocomplete="off")] = Field(
        min_length=1, max_length=100, examples=["Backup script"], description="To know it again."
    )
    scopes: list[Annotated[Line, StringConstraints(max_length=100)]] = Field(
        ["read", "write"], min_length=1, max_length=100, title="May be used to"
    )
    days: Annotated[Literal[7, 30, 90, 365], FieldOptions(TOKEN_LIFETIMES)] = Field(30, title="Ends after")


class AccountDeletion(Reauthentication):
    email: Annotated[Line, FieldOptions(autocomplete="off")] = Field(title="Your e-mail address, to be sure")


class UserUpdate(Schema):
    """Changes of the user's own account; missing fields stay. A new e-mail or password needs the current password.

    The base of the schema in `app/users/schemas.py`, whose further fields are also on the profile page.
    """

    email: Email | None = None
    password: Password | None = None
    current_password: Password = ""


class UserRead(Schema):
    """Data of the user's own account: the base of the schema in `app/users/schemas.py`."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    is_active: bool
    is_staff: bool
    is_superuser: bool
    is_verified: bool
    created_at: datetime


class SessionRead(Schema):
    id: int
    device: str
    """Description from the user agent."""
    address: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    is_current: bool
    """Whether this is the session of the request."""
    is_impersonation: bool
    """Whether a superuser is signed in as the user. The address is then hidden."""


class EventRead(Schema):
    """An event of the account."""

    id: int
    kind: str
    words: str
    """Text for users."""
    by_staff: bool
    """Whether staff of the site did it."""
    device: str
    """Description from the user agent; empty if unknown or if staff did it."""
    address: str
    created_at: datetime


class TokenRead(Schema):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    hint: str
    scopes: Scopes
    """Scopes; `*` for all."""
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


class LinkedAccountRead(Schema):
    model_config = ConfigDict(from_attributes=True)

    id: int
    issuer: str
    """Issuer of the account."""
    email: str
    created_at: datetime


class PasskeyRead(Schema):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    verifies_user: bool
    """Whether it is sufficient without a password."""
    is_synced: bool
    created_at: datetime
    used_at: datetime | None


class TokenCreated(TokenRead):
    token: str
    """Shown once."""


class TwoFactorStart(Schema):
    """May be empty after a recent confirmation."""

    password: ExistingPassword = ""


class TwoFactorEnable(Schema):
    """The first code of the authenticator app."""

    sealed: Annotated[Line, FieldOptions(type="hidden")]
    """The encrypted key from the response to `TwoFactorStart`."""
    code: Annotated[Line, FieldOptions(autocomplete="one-time-code", inputmode="numeric", maxlength=20)] = Field(
        title="Code that the app shows"
    )


class TwoFactorCredentials(TwoFactorStart):
    code: SecondFactor = ""


class TwoFactorRead(Schema):
    is_on: bool
    recovery_codes_left: int


class TwoFactorSetupRead(Schema):
    model_config = ConfigDict(from_attributes=True)

    key: str
    uri: str
    """The key in the format of QR codes."""
    sealed: str
    """Send it back with the first code, within ten minutes."""


class RecoveryCodesRead(Schema):
    recovery_codes: list[str]
    """Shown once."""


class Message(Schema):
    detail: str
    """A message for the user."""


class AccessToken(Schema):
    access_token: str
    token_type: str = "bearer"
    refresh_token: str | None = None
    """Exchange it once for the next JWT, if `access_token` is a JWT."""
    expires_in: int | None = None
    """Lifetime of a JWT in seconds."""
    scope: str | None = None
    """Scopes, if they are not all."""


class EmailSignInAsked(Message):
    request: str
    """Send it back with the code, within ten minutes."""


class EmailSignInCredentials(Schema):
    request: LinkToken
    code: Annotated[Line, StringConstraints(max_length=100)]
    second_factor: Annotated[Line, StringConstraints(max_length=100)] = ""
    scope: Annotated[Line, StringConstraints(max_length=1000)] = ""
    """Requested scopes, as at sign-in with a password."""


class TokenRefresh(Schema):
    refresh_token: Annotated[Line, StringConstraints(max_length=200)]
