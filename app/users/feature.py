from app.users.models import User
from opportune.feature import Admin, Feature

users = Feature(
    "users",
    "Users of this site, with your own fields.",
    models=[User],
    admin=Admin("app.users.admin"),
)
