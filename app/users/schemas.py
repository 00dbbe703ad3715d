"""Data that users see and change in their own account, on the profile page and at /api/v1/users/me."""

from pydantic import Field

from opportune import accounts
from opportune.fields import Image, Line


class UserRead(accounts.UserRead):
    display_name: str
    avatar: Image


class UserUpdate(accounts.UserUpdate):
    display_name: Line = Field("", max_length=100, description="How others see you. It may stay empty.")
    avatar: Image = Field(Image(), title="Picture")
