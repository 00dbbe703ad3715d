from app.accounts import api, demo, pages
from app.accounts.models import Session, User
from app.core.feature import Demo, Feature

accounts = Feature(
    name="accounts",
    summary="Registration, sign-in and profiles.",
    models=(User, Session),
    pages=pages.router,
    api=api.router,
    demo=Demo(demo.load, demo.clear),
)
