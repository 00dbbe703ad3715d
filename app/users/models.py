from sqlmodel import Field

from opportune.accounts import UserBase
from opportune.fields import Image, Line, image_field


class User(UserBase, table=True):
    """A user. To add a field, add a line here and run `makemigrations users`; `schemas.py` makes it visible."""

    display_name: Line = Field(default="", max_length=100)
    avatar: Image = image_field("avatars", {"small": 96}, default="")

    def get_short_name(self) -> str:
        return self.display_name
