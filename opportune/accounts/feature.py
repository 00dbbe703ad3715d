from opportune.accounts import api, demo, letters, pages, setup, sweeping
from opportune.accounts.models import ApiToken, Attempt, Grant, Group, Membership, RecoveryCode, Session, User
from opportune.accounts.own.personal import personal_data
from opportune.feature import Demo, Feature, Figure
from opportune.mail.sending import send

accounts = Feature(
    name="accounts",
    summary="Who uses the site: sign-in, profile, sessions, tokens, groups.",
    models=(User, Session, ApiToken, RecoveryCode, Attempt, Group, Grant, Membership),
    pages=pages.router,
    api=api.router,
    figures=(Figure("Sign-ups", User.created_at),),
    demo=Demo(demo.load, demo.clear),
    personal_data=personal_data,
    jobs=(
        send,  # mail is no feature, and there is none without accounts
        letters.write_of_registration,
        letters.write_of_reset,
        letters.write_of_verification,
        sweeping.sweep_daily,
    ),
    lifespan=setup.inviting,
)
