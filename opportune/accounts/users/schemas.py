"""The project's schemas with the fields that users see and change in their own account."""

from typing import TYPE_CHECKING

from opportune.accounts import schemas
from opportune.accounts.models import User
from opportune.errors import OperatorError
from opportune.project.layout import PACKAGE
from opportune.project.modules import users_module

if TYPE_CHECKING:
    from opportune.accounts.schemas import UserRead, UserUpdate
else:
    UserRead = users_module("schemas").UserRead
    UserUpdate = users_module("schemas").UserUpdate

PROVED_FIELDS = set(schemas.UserUpdate.model_fields)
"""Fields that need a proof of identity. Other fields of the project's schema are stored without one."""

if unknown := set(UserUpdate.model_fields) - PROVED_FIELDS - set(User.model_fields):
    raise OperatorError(f"{PACKAGE}/users/schemas.py: UserUpdate has {min(unknown)}, which is not a column of User.")

__all__ = ["PROVED_FIELDS", "UserRead", "UserUpdate"]
