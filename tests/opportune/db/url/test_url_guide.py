"""Tests of the URL examples in docs/databases.md."""

import re

from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.direct import DIRECT_URL_VARIABLES
from tests.opportune.guides import read_guide

GUIDE = read_guide("databases.md")
ROWS = re.findall(r"^\| ([^|]+) \| `([^`|]+)` \| `([^`|]+)` \| (yes|no) \|$", GUIDE, re.MULTILINE)


def test_table_lists_main_providers() -> None:
    providers = {provider for provider, *_ in ROWS}
    assert {"Neon", "Supabase", "Leapcell", "Railway", "Render", "Fly.io", "Heroku"} <= providers


def test_table_matches_parsed_urls() -> None:
    for provider, pasted, parsed, pooler in ROWS:
        url = DatabaseUrl.parse(pasted)
        assert (url.provider or "your own", url.redacted, url.pooled) == (provider, parsed, pooler == "yes"), provider


def test_all_direct_url_variables_are_documented() -> None:
    assert all(f"`{name}`" in GUIDE for name in DIRECT_URL_VARIABLES)
