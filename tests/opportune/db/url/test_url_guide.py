"""What docs/databases.md says of addresses is what happens to them."""

import re

from opportune.config.project import PROJECT
from opportune.db.migrations.connection import DIRECT_URL_VARIABLES
from opportune.db.url.database_url import DatabaseURL

GUIDE = (PROJECT / "docs" / "databases.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| `([^`|]+)` \| `([^`|]+)` \| (yes|no) \|$", GUIDE, re.MULTILINE)


def test_the_table_names_the_providers_of_the_purpose() -> None:
    named = {provider for provider, *_ in ROWS}
    assert {"Neon", "Supabase", "Leapcell", "Railway", "Render", "Fly.io", "Heroku"} <= named


def test_what_is_pasted_becomes_what_the_table_says() -> None:
    for provider, pasted, becomes, pooler in ROWS:
        url = DatabaseURL.parse(pasted)
        assert (url.provider or "your own", url.redacted, url.pooled) == (provider, becomes, pooler == "yes"), provider


def test_every_variable_of_a_host_that_is_read_is_named() -> None:
    assert all(f"`{name}`" in GUIDE for name in DIRECT_URL_VARIABLES)
