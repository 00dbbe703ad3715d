"""The feature of accounts, and the user model of projects without `app/users`."""

from opportune.accounts import api, cleanup, demo, models, pages
from opportune.accounts.emails import report_mail_outage
from opportune.accounts.events.service import record_wrong_password
from opportune.accounts.flows import registration
from opportune.accounts.flows.deletion import personal_data
from opportune.accounts.flows.email_sign_in import send_sign_in_email
from opportune.accounts.kept_forms import FormInterrupted, on_form_interrupted
from opportune.accounts.permissions import may_in_template
from opportune.accounts.reauthentication import is_confirmed_in_template
from opportune.accounts.setup import invite_first_superuser
from opportune.accounts.users.hooks import HOOKS
from opportune.feature import Accounts, Admin, Data, Demo, Feature, Jobs, Link, Metric, Process, Site, UserColumn
from opportune.project.layout import has_own_users
from opportune.web.static import icons

# Projects with `app/users` list `User` in that feature.
USERS = () if has_own_users() else (models.User,)
MODELS = (
    models.Session, models.ApiToken, models.RecoveryCode, models.LinkedAccount, models.Passkey,
    models.AccountEvent, models.Attempt,
    models.Group, models.GroupPermission, models.Membership, models.ShippedPermission,
)  # fmt: skip

ACCOUNT_PAGES = (
    Link("Profile", "/accounts/profile", "user"),
    Link("Password", "/accounts/password", "lock"),
    Link("Two-factor", "/accounts/two-factor", "shield-lock"),
    Link("Passkeys", "/accounts/passkeys", "fingerprint"),
    Link("Sessions", "/accounts/sessions", "devices"),
    Link("Activity", "/accounts/events", "history"),
    Link("API tokens", "/accounts/tokens", "key"),
    Link("Your data", "/accounts/data", "database"),
)
"""Links to the pages of an account."""
icons.add(*(link.icon for link in ACCOUNT_PAGES))

accounts = Feature(
    "accounts",
    "Users of the site: sign-in, profile, sessions, tokens, groups.",
    models=(*USERS, *MODELS),
    pages=pages.ROUTERS,
    api=api.ROUTERS,
    admin=Admin(
        "opportune.accounts.admin.views",
        metrics=(Metric("Sign-ups", models.User.created_at),),
        user_columns=(UserColumn("Passkeys", models.Passkey.user_id),),
    ),
    data=Data(demo=Demo(demo.load, demo.clear)),
    accounts=Accounts(personal_data=personal_data),
    jobs=Jobs(
        (
            report_mail_outage,
            registration.send_registration_email,
            registration.send_password_reset_email,
            registration.send_verification_email,
            send_sign_in_email,
            record_wrong_password,
        ),
        cleanups=[*cleanup.CLEANUPS.values()],
    ),
    site=Site(
        template_globals={
            "may": may_in_template,
            "is_confirmed": is_confirmed_in_template,
            "account_pages": ACCOUNT_PAGES,
        },
        error_handlers={FormInterrupted: on_form_interrupted},
    ),
    hooks=HOOKS,
    process=Process(lifespan=invite_first_superuser),
)
