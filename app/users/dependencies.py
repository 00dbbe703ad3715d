"""The current user, with your fields."""

from typing import Annotated

from fastapi import Depends

from app.users.models import User
from opportune.accounts import get_current_user, get_optional_user

CurrentUser = Annotated[User, Depends(get_current_user)]
OptionalUser = Annotated[User | None, Depends(get_optional_user)]
