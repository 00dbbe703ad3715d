from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, EmailStr, Field, StringConstraints, TypeAdapter

from opportune.config.email_domains import accept_development_domains
from opportune.schemas import Schema
from opportune.schemas.annotations import FieldOptions
from opportune.text import Line, Password


def _lower(text: str) -> str:
    """What `str.lower` does, whose signature takes Pydantic long to find out."""
    return text.lower()


Email = Annotated[EmailStr, BeforeValidator(accept_development_domains), AfterValidator(_lower)]
EMAIL_ADAPTER: TypeAdapter[str] = TypeAdapter(Email, config=ConfigDict(defer_build=True))
"""For an address that is no field of a schema."""
LinkToken = Annotated[Line, StringConstraints(max_length=2000)]
AUTOCOMPLETE_OF_NEW = "new-password"
TOKEN_LIFETIMES = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "A year"}

# The manager's `validate_password` decides. Pages add the minimum length, which is a setting.
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
    """Beside what the form says of e-mail and password, which does not count."""

    remember: bool = False


class EmailRequest(Schema):
    email: Annotated[Email, FieldOptions(autocomplete="username")] = Field(title="E-mail")


class EmailSignIn(EmailRequest):
    """Beside what the form of the sign-in page says of a password, which does not count."""

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
    """The proof of an address, and that the account is not one that somebody else has made for it."""

    password: ExistingPassword = Field("", title="The password that you chose here")


class PasswordReset(EmailToken):
    password: NewPassword = Field(title="New password")


Scopes = Annotated[list[str], BeforeValidator(lambda value: value.split() if isinstance(value, str) else value)]


class Credentials(Schema):
    """What programs send to sign in, by the names that OAuth gives it."""

    username: Line
    password: Password
    code: Annotated[Line, StringConstraints(max_length=100)] = ""
    scope: Annotated[Line, StringConstraints(max_length=1000)] = ""
    """What the token is to be used for, with spaces between; all that they may do if it is empty."""


class PasskeyRequest(Schema):
    """What a script asks about, before a device does something."""

    purpose: Literal["sign-in", "second-step", "add", "confirm"] = "sign-in"


PasskeyAnswer = Annotated[str, FieldOptions(type="hidden")]
"""What a device has said, as a script of ours writes it."""


class PasskeySignIn(Schema):
    """Beside what the form says of e-mail and password, which does not count."""

    passkey: PasskeyAnswer = ""
    remember: bool = False


class PasskeyUpdate(Schema):
    name: Annotated[Line, FieldOptions(autocomplete="off")] = Field(
        min_length=1, max_length=100, description="To know it again."
    )


class PasskeyCreate(PasskeyUpdate):
    passkey: PasskeyAnswer = ""


class Reauthentication(Schema):
    """What not even a browser left open may do wants one of them, unless it has just been confirmed."""

    current_password: ExistingPassword = ""
    passkey: PasskeyAnswer = ""


class Confirmation(Reauthentication):
    """All that it takes to show who they are."""

    code: SecondFactor = ""


class LinkRequest(Reauthentication):
    """Lets an account elsewhere sign one in."""

    provider: Annotated[Line, FieldOptions(type="hidden")] = ""


class EmailUpdate(Reauthentication):
    email: Annotated[Email, FieldOptions(autocomplete="email")] = Field(title="New e-mail")


class EmailConfirmation(Schema):
    token: str = ""


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
    """Changes of one's own account: what is left out stays. A new e-mail or password needs the current password.

    The base of the one in `app/users/schemas.py`, whose own fields are on the profile page too.
    """

    email: Email | None = None
    password: Password | None = None
    current_password: Password = ""


class UserRead(Schema):
    """What people are told of their own account: the base of the one in `app/users/schemas.py`."""

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
    """What it says it is."""
    address: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    is_current: bool
    """Whether it is the one that asks."""
    is_impersonation: bool
    """Whether a superuser is signed in as the user. Where from is not told."""


class EventRead(Schema):
    """Something that happened to an account."""

    id: int
    kind: str
    words: str
    """The same for people."""
    by_staff: bool
    """Whether staff of the site did it, for their owner or beside them."""
    device: str
    """What it says it is; empty where nobody knows, and where staff did it."""
    address: str
    created_at: datetime


class TokenRead(Schema):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    hint: str
    scopes: Scopes
    """What it may be used for; `*` for all."""
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


class LinkedAccountRead(Schema):
    model_config = ConfigDict(from_attributes=True)

    id: int
    issuer: str
    """Who vouches for it."""
    email: str
    created_at: datetime


class PasskeyRead(Schema):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    verifies_user: bool
    """Whether it is enough alone."""
    is_synced: bool
    created_at: datetime
    used_at: datetime | None


class TokenCreated(TokenRead):
    token: str
    """Shown this once."""


class TwoFactorStart(Schema):
    """Empty for who has just confirmed."""

    password: ExistingPassword = ""


class TwoFactorEnable(Schema):
    """The first code of an app that has just been given its key."""

    sealed: Annotated[Line, FieldOptions(type="hidden")]
    """The key, as the answer to `TwoFactorStart` has it."""
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
    """The key as apps read it from a picture."""
    sealed: str
    """To come back with the first code, within ten minutes."""


class RecoveryCodesRead(Schema):
    recovery_codes: list[str]
    """Shown this once."""


class Message(Schema):
    detail: str
    """A sentence."""


class AccessToken(Schema):
    access_token: str
    token_type: str = "bearer"
    refresh_token: str | None = None
    """Where `access_token` is a JWT: to get the next one with, once."""
    expires_in: int | None = None
    """Seconds that a JWT has."""
    scope: str | None = None
    """What it may be used for, where that is not all."""


class EmailSignInAsked(Message):
    request: str
    """To come back with the code, within ten minutes."""


class EmailSignInCredentials(Schema):
    request: LinkToken
    code: Annotated[Line, StringConstraints(max_length=100)]
    second_factor: Annotated[Line, StringConstraints(max_length=100)] = ""
    scope: Annotated[Line, StringConstraints(max_length=1000)] = ""
    """What the token is to be used for, as in signing in with a password."""


class TokenRefresh(Schema):
    refresh_token: Annotated[Line, StringConstraints(max_length=200)]
