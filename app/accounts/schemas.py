from datetime import datetime
from typing import Annotated

from fastapi import Form
from fastapi.security import OAuth2PasswordRequestForm
from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr

from app.core.text import Line, Password

Email = Annotated[EmailStr, AfterValidator(str.lower)]


class Registration(BaseModel):
    email: Email
    password: Password


class SignIn(BaseModel):
    email: Line
    password: Password


class Credentials(OAuth2PasswordRequestForm):
    """What programs send to sign in: the names are OAuth's, the rules are ours."""

    def __init__(self, username: Annotated[Line, Form()], password: Annotated[Password, Form()]) -> None:
        super().__init__(username=username, password=password)


class PasswordChange(BaseModel):
    current_password: Password
    new_password: Password


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
