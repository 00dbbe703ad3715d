"""A site, and settings without faults for each host."""

from opportune.contrib.deploy.recipes import RECIPES
from opportune.contrib.deploy.site_names import SiteNames

SITE = SiteNames("reading-circle", "Reading circle", "books.example.org", "lisbon/circle")
KEY = "Zq3-7xT_m1Lk0pWv9sRb8nYc2Hd5Jf4Gg6"
NEON = "postgresql://site:secret@ep-name-123456.eu-central-1.aws.neon.tech/site?sslmode=require"
GOOD = {
    "SECRET_KEY": KEY,
    "ENVIRONMENT": "production",
    "DATABASE_URL": NEON,
    "BASE_URL": "https://circle.lisbon.pt",
    "STORAGE_URL": "s3://key:secret@bucket.lisbon.pt/site",
    "MAIL_URL": "resend://re_123",
    "LLM_BASE_URL": "https://llm.lisbon.pt/v1",
    "LLM_API_KEY": "key",
    "LLM_MODEL": "large",
    "POSTGRES_PASSWORD": "secret",
}


def values_for(host: str, **changes: str) -> dict[str, str]:
    """Return good settings for a host with changes. An empty value removes a setting."""
    recipe = RECIPES[host]
    good = dict(GOOD) if host != "huggingface" else {**GOOD, "DATABASE_URL": NEON.replace("/site?", ":443/site?")}
    needed = {name: value for name, value in good.items() if name not in recipe.sets}
    return {name: value for name, value in {**needed, **recipe.defaults, **changes}.items() if value}
