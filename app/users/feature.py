from app.users.models import User
from opportune.feature import Feature

users = Feature(
    name="users", summary="Who uses this site, with fields of your own.", models=[User], admin="app.users.admin"
)
