from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field, StringConstraints

from opportune.text import Line, Password
from opportune.web.forms.fields import Html


def _lower(text: str) -> str:
    """What `str.lower` does, whose signature takes Pydantic long to find out."""
    return text.lower()


Email = Annotated[EmailStr, AfterValidator(_lower)]
Name = Annotated[Line, StringConstraints(max_length=100)]
MailedText = Annotated[Line, StringConstraints(max_length=2000)]
DAYS = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "A year"}

# What makes a good one is the manager's to say; this is what the browser can tell at once.
NewPassword = Annotated[Password, Html(autocomplete="new-password", minlength=8, maxlength=1024)]
KnownPassword = Annotated[Password, Html(autocomplete="current-password")]


class Registration(BaseModel):
    email: Annotated[Email, Html(autocomplete="username")] = Field(title="E-mail")
    password: NewPassword = Field(title="Password (at least 8 characters)")


class SignIn(BaseModel):
    email: Annotated[Line, Html(type="email", autocomplete="username")] = Field(title="E-mail")
    password: KnownPassword
    remember: bool = Field(False, title="Remember me on this device")


class CodeStep(BaseModel):
    code: Annotated[Line, Html(autocomplete="one-time-code", maxlength=40)] = Field(
        title="Code of your app, or a recovery code", max_length=100
    )


class Address(BaseModel):
    email: Annotated[Email, Html(autocomplete="username")] = Field(title="E-mail")


class MailedToken(BaseModel):
    token: Annotated[MailedText, Html(type="hidden")]


class Proof(MailedToken):
    """Of an address, and that the account is not one that somebody else has made for it."""

    password: KnownPassword = Field("", title="The password that you chose here")


class PasswordReset(MailedToken):
    password: NewPassword = Field(title="New password (at least 8 characters)")


class Credentials(BaseModel):
    """What programs send to sign in, by the names that OAuth gives it."""

    username: Line
    password: Password
    code: Annotated[Line, StringConstraints(max_length=100)] = ""


class NameChange(BaseModel):
    name: Annotated[Name, Html(autocomplete="name")] = Field("", description="How others see you. It may stay empty.")


class Confirmed(BaseModel):
    """What not even a browser left open may do."""

    current_password: KnownPassword


class EmailChange(Confirmed):
    email: Annotated[Email, Html(autocomplete="email")] = Field(title="New e-mail")


class EmailConfirmation(BaseModel):
    token: str = ""


class PasswordChange(Confirmed):
    new_password: NewPassword = Field(title="New password (at least 8 characters)")


class NewToken(Confirmed):
    name: Annotated[Line, Html(autocomplete="off")] = Field(
        min_length=1, max_length=100, examples=["Backup script"], description="To know it again."
    )
    days: Annotated[Literal[7, 30, 90, 365], Html(DAYS)] = Field(30, title="Ends after")


class Leaving(Confirmed):
    email: Annotated[Line, Html(autocomplete="off")] = Field(title="Your e-mail address, to be sure")


class UserChange(BaseModel):
    """What is left out stays. A new e-mail or password needs the current password."""

    name: Name | None = None
    email: Email | None = None
    password: Password | None = None
    current_password: Password = ""


class UserShown(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    name: str
    is_active: bool
    is_staff: bool
    is_superuser: bool
    is_verified: bool
    created_at: datetime


class SessionShown(BaseModel):
    id: int
    device: str
    """What it says it is."""
    address: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    is_current: bool
    """Whether it is the one that asks."""


class TokenShown(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    hint: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


class TokenMade(TokenShown):
    token: str
    """Shown this once."""


class PasswordProof(BaseModel):
    password: KnownPassword


class FirstCode(BaseModel):
    """Of an app that has just been given its key."""

    sealed: Annotated[Line, Html(type="hidden")]
    """The key, as the answer to the beginning has it."""
    code: Annotated[Line, Html(autocomplete="one-time-code", inputmode="numeric", maxlength=20)] = Field(
        title="Code that the app shows"
    )


class FactorProof(BaseModel):
    password: KnownPassword
    code: Annotated[Line, Html(autocomplete="one-time-code", maxlength=40)] = Field(
        title="Code of your app, or a recovery code"
    )


class FactorShown(BaseModel):
    is_on: bool
    recovery_codes_left: int


class FactorBegun(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    key: str
    uri: str
    """The key as apps read it from a picture."""
    sealed: str
    """To come back with the first code, within ten minutes."""


class RecoveryCodes(BaseModel):
    recovery_codes: list[str]
    """Shown this once."""


class Answer(BaseModel):
    detail: str
    """A sentence."""


class Token(BaseModel):
    access_token: str
    token_type: str = "bearer"  # noqa: S105 - a kind of token
