from sqlmodel import Field

from opportune.accounts import UserBase
from opportune.fields import Image, Line, image_field


class User(UserBase, table=True):
    """Who uses this site. A field more is a line here, and `makemigrations users`; `schemas.py` shows it to people."""

    display_name: Line = Field(default="", max_length=100)
    avatar: Image = image_field("avatars", {"small": 96}, default="")

    def get_short_name(self) -> str:
        return self.display_name
