from app.accounts import api, demo, pages
from app.accounts.models import ApiToken, Attempt, Grant, Group, Membership, RecoveryCode, Session, User
from app.core.feature import Demo, Feature

accounts = Feature(
    name="accounts",
    summary="Registration, sign-in and profiles.",
    models=(User, Session, ApiToken, RecoveryCode, Attempt, Group, Grant, Membership),
    pages=pages.router,
    api=api.router,
    demo=Demo(demo.load, demo.clear),
)
