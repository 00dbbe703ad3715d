from app.users.models import User
from opportune import admin


class UserAdmin(admin.UserAdmin, model=User):
    """The admin's pages of users, which have your fields by themselves."""
