"""What the project says that people see of themselves and change."""

from typing import TYPE_CHECKING

from opportune.accounts import schemas
from opportune.accounts.models import User
from opportune.config.project import PACKAGE, users_module
from opportune.errors import OperatorError

if TYPE_CHECKING:
    from opportune.accounts.schemas import UserRead, UserUpdate
else:
    UserRead, UserUpdate = users_module("schemas").UserRead, users_module("schemas").UserUpdate

PROVED_FIELDS = set(schemas.UserUpdate.model_fields)
"""What is changed in ways of its own; all else that the project's schema takes is stored as it is."""

if strays := set(UserUpdate.model_fields) - PROVED_FIELDS - set(User.model_fields):
    raise OperatorError(f"{PACKAGE}/users/schemas.py: UserUpdate has {min(strays)}, which no column of User can keep.")

__all__ = ["PROVED_FIELDS", "UserRead", "UserUpdate"]
