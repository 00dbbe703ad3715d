from opportune.accounts import api, cleanup, demo, emails, pages, setup
from opportune.accounts.deletion.personal_data import personal_data
from opportune.accounts.models import ApiToken, Attempt, Grant, Group, Membership, RecoveryCode, Session, User
from opportune.feature import Demo, Feature, Metric
from opportune.mail.delivery import send_email_job

accounts = Feature(
    name="accounts",
    summary="Who uses the site: sign-in, profile, sessions, tokens, groups.",
    models=(User, Session, ApiToken, RecoveryCode, Attempt, Group, Grant, Membership),
    pages=pages.router,
    api=api.router,
    metrics=(Metric("Sign-ups", User.created_at),),
    demo=Demo(demo.load, demo.clear),
    personal_data=personal_data,
    jobs=(
        send_email_job,  # mail is no feature, and there is none without accounts
        emails.send_registration_email,
        emails.send_password_reset_email,
        emails.send_verification_email,
        cleanup.delete_expired_daily,
    ),
    lifespan=setup.invite_first_superuser,
)
