"""The user of a project without `app/users`, as in early releases."""

from pydantic import Field
from sqlmodel import Field as ColumnField

from opportune.accounts import schemas
from opportune.accounts.models import UserBase
from opportune.schemas.text import Line


class User(UserBase, table=True):
    name: str = ColumnField(default="", max_length=100)
    """The name that other users see; optional."""

    def get_short_name(self) -> str:
        return self.name


class UserRead(schemas.UserRead):
    name: str


class UserUpdate(schemas.UserUpdate):
    name: Line = Field("", max_length=100, description="How others see you. It may stay empty.")
