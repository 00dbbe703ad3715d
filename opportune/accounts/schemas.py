"""Schemas of the forms and the API of accounts."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, EmailStr, Field, StringConstraints, TypeAdapter

from opportune.accounts.models import ACCESS_TOKEN_NAME
from opportune.config.email_domains import accept_development_domains, normalize_email
from opportune.i18n import gettext
from opportune.schemas import Schema
from opportune.schemas.annotations import FieldOptions
from opportune.schemas.text import Line, Password

Email = Annotated[EmailStr, BeforeValidator(accept_development_domains), AfterValidator(normalize_email)]
EMAIL_ADAPTER: TypeAdapter[str] = TypeAdapter(Email, config=ConfigDict(defer_build=True))
"""Validates an e-mail address outside a schema."""
LinkToken = Annotated[Line, StringConstraints(max_length=2000)]
MAX_SCOPES_LENGTH = 2000
"""Length of the columns `ApiToken.scopes` and `McpGrant.scopes`."""
NEW_PASSWORD_AUTOCOMPLETE = "new-password"
TOKEN_LIFETIMES = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "A year"}

# The manager's `validate_password` checks the rules. Pages add the minimum length, which is a setting.
NewPassword = Annotated[Password, FieldOptions(autocomplete=NEW_PASSWORD_AUTOCOMPLETE, maxlength=1024)]
ExistingPassword = Annotated[Password, FieldOptions(autocomplete="current-password")]
SecondFactor = Annotated[
    Line,
    FieldOptions(autocomplete="one-time-code", maxlength=40),
    Field(title="Code of your app, or a recovery code", max_length=100),
]
NUMERIC_CODE = FieldOptions(autocomplete="one-time-code", inputmode="numeric", maxlength=20)
CodeOfProgram = Annotated[Line, StringConstraints(max_length=100)]
RequestedScopes = Annotated[Line, StringConstraints(max_length=1000)]
"""Scopes separated by spaces; all allowed scopes if empty."""
Remember = Annotated[bool, Field(title="Remember me on this device")]


class EmailRequest(Schema):
    email: Annotated[Email, FieldOptions(autocomplete="username")] = Field(title="E-mail")


class UserCreate(EmailRequest):
    password: NewPassword


class FirstSuperuserCreate(UserCreate):
    token: Annotated[Line, FieldOptions(type="hidden")] = ""


class SignIn(Schema):
    email: Annotated[Line, FieldOptions(type="email", autocomplete="username")] = Field(title="E-mail")
    password: ExistingPassword
    remember: Remember = False


class SignInCode(Schema):
    code: SecondFactor


class SocialSignIn(Schema):
    """Field of the sign-in form that its social buttons use. Its e-mail and password are ignored."""

    remember: bool = False


class EmailSignIn(EmailRequest):
    """Fields of the sign-in form that its e-mail button uses. Its password is ignored."""

    remember: Remember = False


class EmailSignInCode(Schema):
    code: Annotated[Line, NUMERIC_CODE] = Field(title="Code from the e-mail", max_length=100)


class EmailConfirmationCode(EmailSignInCode):
    second_factor: SecondFactor = ""


class EmailToken(Schema):
    token: Annotated[LinkToken, FieldOptions(type="hidden")]


class EmailSignInLink(EmailToken):
    remember: Remember = False


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
    code: CodeOfProgram = ""
    scope: RequestedScopes = ""


class PasskeyRequest(Schema):
    """Request of a script for the options of a passkey ceremony."""

    purpose: Literal["sign-in", "second-step", "add", "confirm"] = "sign-in"


PasskeyAssertion = Annotated[str, FieldOptions(type="hidden")]
"""The assertion of a device, sent by the site's script."""


class PasskeySignIn(Schema):
    """Fields of the sign-in form that its passkey button uses. Its e-mail and password are ignored."""

    passkey: PasskeyAssertion = ""
    remember: bool = False


class PasskeyUpdate(Schema):
    name: Annotated[Line, FieldOptions(autocomplete="off")] = Field(
        min_length=1, max_length=100, description="So that you recognise it."
    )


class PasskeyCreate(PasskeyUpdate):
    passkey: PasskeyAssertion = ""


class Reauthentication(Schema):
    """Proof of identity for dangerous changes: a password or a passkey. Both may be empty in a confirmed session."""

    current_password: ExistingPassword = ""
    passkey: PasskeyAssertion = ""


class Confirmation(Reauthentication):
    """A proof of identity that also has the code of a second factor."""

    code: SecondFactor = ""


class LinkRequest(Reauthentication):
    """Request to link an account of another site."""

    provider: Annotated[Line, FieldOptions(type="hidden")] = ""


class EmailUpdate(Reauthentication):
    email: Annotated[Email, FieldOptions(autocomplete="email")] = Field(title="New e-mail")


class PasswordUpdate(Reauthentication):
    new_password: NewPassword = Field(title="New password")


def check_scopes(scopes: list[str]) -> list[str]:
    """Return the scopes without duplicates, if their column can hold them."""
    names = list(dict.fromkeys(scopes))
    if len(" ".join(names)) > MAX_SCOPES_LENGTH:
        raise ValueError(gettext("Please select fewer, or create several tokens."))
    return names


ScopeNames = Annotated[
    list[Annotated[Line, StringConstraints(max_length=100)]],
    Field(min_length=1, max_length=100),
    AfterValidator(check_scopes),
]


def refuse_sign_in_name(name: str) -> str:
    """Refuse the name of tokens that a sign-in creates, because a second factor ends all of them."""
    if name == ACCESS_TOKEN_NAME:
        raise ValueError(gettext("This name is reserved. Choose another one."))
    return name


class TokenCreate(Reauthentication):
    name: Annotated[Line, FieldOptions(autocomplete="off"), AfterValidator(refuse_sign_in_name)] = Field(
        min_length=1, max_length=100, examples=["Backup script"], description="So that you recognise it."
    )
    scopes: ScopeNames = Field(["read", "write"], title="May be used to")
    days: Annotated[Literal[7, 30, 90, 365], FieldOptions(TOKEN_LIFETIMES)] = Field(30, title="Ends after")


class AccountDeletion(Reauthentication):
    email: Annotated[Line, FieldOptions(autocomplete="off")] = Field(title="Your e-mail address, to be sure")


class UserUpdate(Schema):
    """Changes of the user's own account. A new e-mail or password needs the current password.

    It is the base class of `UserUpdate` in `app/users/schemas.py`, which adds fields to the profile page.
    """

    email: Email | None = None
    password: Password | None = None
    current_password: Password = ""


class UserRead(Schema):
    """Data of the user's own account. It is the base class of `UserRead` in `app/users/schemas.py`."""

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


class AccountEventRead(Schema):
    """An event of the account."""

    id: int
    kind: str
    words: str
    """Text for users."""
    by_staff: bool
    """Whether a staff member or superuser of the site caused the event."""
    device: str
    """Description from the user agent; empty if unknown or if staff did it."""
    address: str
    created_at: datetime


class TokenRead(Schema):
    id: int
    name: str
    hint: str
    scopes: Scopes
    """Scopes; `*` for all."""
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


class LinkedAccountRead(Schema):
    id: int
    issuer: str
    """Address of the issuer, such as `https://accounts.google.com`."""
    email: str
    created_at: datetime


class PasskeyRead(Schema):
    id: int
    name: str
    verifies_user: bool
    """Whether the passkey is enough to sign in, without a password."""
    is_synced: bool
    created_at: datetime
    used_at: datetime | None


class TokenCreated(TokenRead):
    token: str
    """The token. It cannot be read again later."""


class TwoFactorStart(Schema):
    password: ExistingPassword = ""
    """Current password. It may be empty after a recent confirmation."""


class TwoFactorEnable(Schema):
    """The first code of the authenticator app."""

    sealed: Annotated[Line, FieldOptions(type="hidden")]
    """The encrypted key from the response to `TwoFactorStart`."""
    code: Annotated[Line, NUMERIC_CODE] = Field(title="Code that the app shows")


class TwoFactorCredentials(TwoFactorStart):
    code: SecondFactor = ""


class TwoFactorRead(Schema):
    is_on: bool
    recovery_codes_left: int


class TwoFactorSetupRead(Schema):
    key: str
    uri: str
    """The key as an `otpauth://` address, to show as a QR code."""
    sealed: str
    """Send it back with the first code, within ten minutes."""


class RecoveryCodesRead(Schema):
    recovery_codes: list[str]
    """The codes. They cannot be read again later."""


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
    """Scopes of the token; None for all scopes."""


class EmailSignInRequested(Message):
    request: str
    """Send it back with the code, within ten minutes."""


class EmailSignInCredentials(Schema):
    request: LinkToken
    code: CodeOfProgram
    second_factor: CodeOfProgram = ""
    scope: RequestedScopes = ""


class TokenRefresh(Schema):
    refresh_token: Annotated[Line, StringConstraints(max_length=200)]
