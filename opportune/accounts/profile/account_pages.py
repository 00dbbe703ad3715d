"""Links to the pages of an account."""

from opportune.feature import Link
from opportune.web.static import icons

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
icons.add(*(link.icon for link in ACCOUNT_PAGES))
