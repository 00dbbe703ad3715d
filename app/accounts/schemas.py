from datetime import datetime
from typing import Annotated

from fastapi import Form
from fastapi.security import OAuth2PasswordRequestForm
from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field

from app.core.text import Line, Password
from app.core.web.fields import Html


def _lower(text: str) -> str:
    """What `str.lower` does, whose signature takes Pydantic long to find out."""
    return text.lower()


Email = Annotated[EmailStr, AfterValidator(_lower)]


# What makes a good one is the manager's to say; this is what the browser can tell at once.
NewPassword = Annotated[Password, Html(autocomplete="new-password", minlength=8, maxlength=1024)]
KnownPassword = Annotated[Password, Html(autocomplete="current-password")]


class Registration(BaseModel):
    email: Annotated[Email, Html(autocomplete="username")] = Field(title="E-mail")
    password: NewPassword = Field(title="Password (at least 8 characters)")


class SignIn(BaseModel):
    email: Annotated[Line, Html(type="email", autocomplete="username")] = Field(title="E-mail")
    password: KnownPassword


class Credentials(OAuth2PasswordRequestForm):
    """What programs send to sign in: the names are OAuth's, the rules are ours."""

    def __init__(self, username: Annotated[Line, Form()], password: Annotated[Password, Form()]) -> None:
        super().__init__(username=username, password=password)


class PasswordChange(BaseModel):
    current_password: KnownPassword
    new_password: NewPassword = Field(title="New password (at least 8 characters)")


class UserChange(BaseModel):
    """What is left out stays. A new e-mail or password needs the current password."""

    email: Email | None = None
    password: Password | None = None
    current_password: Password = ""


class UserShown(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    is_active: bool
    is_superuser: bool
    is_verified: bool
    created_at: datetime


class Token(BaseModel):
    access_token: str
    token_type: str = "bearer"  # noqa: S105 - a kind of token
