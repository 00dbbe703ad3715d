"""docs/deploy.md, the pages of the hosts and the Dockerfile match the code. Bill of materials of an image."""

import re

import pytest

from opportune import features
from opportune.config import PROJECT, Settings
from opportune.config.hosts import HOST_VARIABLES
from opportune.contrib.deploy.host_files import render_steps
from opportune.contrib.deploy.recipes import RECIPES, Recipe
from opportune.contrib.deploy.site_names import SiteNames
from opportune.project.optional_features import OPTIONAL_FEATURES
from opportune.web.machine_paths import HEALTH_PATHS
from tests.opportune.guides import read_guide

GUIDE = read_guide("deploy.md")
DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((PROJECT / "docs" / "deploy").glob("*.md"))}
TEXTS = {"guide": GUIDE, "Dockerfile": DOCKERFILE, **PAGES}
OTHER_VARIABLES = """
    DATABASE_PUBLIC_URL DATABASE_UNPOOLED_URL RAILWAY_RUN_UID POSTGRES_PASSWORD QUEUE_LENGTH_URL COMPOSE_FILE
    COMPOSE_ENV_FILES MAIN_ADDRESS PRIVATE_ADDRESS OTHER_WEB PIP_NO_DEPS FORWARDED_ALLOW_IPS PYTHON_IMAGE
    MALLOC_ARENA_MAX GOOGLE_APPLICATION_CREDENTIALS AZURE_TENANT_ID AZURE_CLIENT_ID AZURE_CLIENT_SECRET
    LITESTREAM_ACCESS_KEY_ID LITESTREAM_SECRET_ACCESS_KEY ON_FAILURE AWS_ENDPOINT_URL
"""


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_each_host_has_a_page_with_the_output_of_init(recipe: Recipe) -> None:
    name = recipe.host.name
    assert f"](deploy/{name.removesuffix('-persistent')}.md)" in GUIDE
    if name == "leapcell-persistent":  # shares a page with leapcell
        return
    page = PAGES[name]
    assert f"python3 oppman.py deploy init {name}\n" in page
    assert "\n".join(render_steps(recipe, SiteNames("your-site", "Your site"))) in page


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_health_path_and_setting_exists(text: str) -> None:
    assert {path.rstrip("/") for path in re.findall(r"/(?:health|kaith)[a-z/]*", text)} <= HEALTH_PATHS
    names = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", text)) - {*OTHER_VARIABLES.split(), *HOST_VARIABLES}
    listed = [getattr(features, name) for name in OPTIONAL_FEATURES]
    framework = [*features.CORE_FEATURES, *listed]
    classes = [Settings, *(settings for feature in framework if (settings := feature.settings))]
    assert names <= {name.upper() for settings in classes for name in settings.model_fields}
