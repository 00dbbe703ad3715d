from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr

from app.core.text import Line, Text

Email = Annotated[EmailStr, AfterValidator(str.lower)]


class Registration(BaseModel):
    email: Email
    password: Text


class SignIn(BaseModel):
    email: Line
    password: Text


class PasswordChange(BaseModel):
    current_password: Text
    new_password: Text


class UserChange(BaseModel):
    """What is left out stays. A new e-mail or password needs the current password."""

    email: Email | None = None
    password: Text | None = None
    current_password: Text = ""


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
