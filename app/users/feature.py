from app.users.models import User
from opportune.feature import Feature

users = Feature(
    name="users", summary="Users of this site, with your own fields.", models=[User], admin="app.users.admin"
)
