from app.users.models import User
from opportune import admin


class UserAdmin(admin.UserAdmin, model=User):
    """Admin pages of users. They show your fields automatically."""
