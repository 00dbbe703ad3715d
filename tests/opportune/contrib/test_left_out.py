"""Sites that leave out features of `opportune.contrib`."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient

from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.project.installed import installed_features
from opportune.project.layout import PACKAGE, PROJECT
from opportune.project.optional_features import OPTIONAL_FEATURES
from opportune.testing.app import create_test_app
from opportune.testing.commands import Oppman
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from tests.opportune.feature_rounds import feature_rounds, features_without

CONTRIB = [name for name, package in OPTIONAL_FEATURES.items() if package.startswith("contrib.")]
REQUIRED = {name for feature in installed_features() for name in feature.requires}
OPTIONAL = [name for name in CONTRIB if name not in REQUIRED]
"""Features that the project can leave out, because none of its features uses them."""
SMALL_SITE = """
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from app.users.feature import users
from opportune.features import accounts, admin, jobs
sys.modules["app.installed"] = installed = ModuleType("app.installed")
installed.__spec__ = ModuleSpec("app.installed", None)
installed.INSTALLED = (accounts, users, admin, jobs)
from app.main import create_app
create_app()
print(*(name for name in sys.modules if name.startswith("opportune.contrib.")))
from opportune.cli.main import main
sys.exit(main(["migrate"]) or main(["check"]))
"""


@pytest.fixture
def installed(names: Sequence[str], monkeypatch: pytest.MonkeyPatch, database_url: str) -> list[Feature]:
    """The features of a project that does not list these, although its database has their tables."""
    features = features_without(names)
    monkeypatch.setattr(f"{PACKAGE}.installed.INSTALLED", features)
    return features


@pytest.mark.parametrize("names", [CONTRIB], ids=["all"])
async def test_pages_open_without_contrib(settings: Settings, installed: list[Feature]) -> None:
    app = create_test_app(settings, [*installed])
    async with app.router.lifespan_context(app):
        async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as visitor:
            responses = [(await visitor.get(path)).status_code for path in ("/", "/health")]
        superuser = await make_user(app.state.database, is_superuser=True)
        async with signed_in_client(app, superuser) as admin:
            await admin.post("/accounts/confirm", data={"current_password": PASSWORD})
            responses += [(await admin.get(f"/admin/{path}")).status_code for path in ("", "group/list")]
    assert responses == [200] * 4


@pytest.mark.parametrize("names", feature_rounds(OPTIONAL), ids=len)
@pytest.mark.usefixtures("installed")
def test_check_finds_no_errors_without_features(oppman: Oppman, database_url: str) -> None:
    code, out, _ = oppman("check", DATABASE_URL=database_url)
    assert code == 0, out


def test_small_site_imports_nothing_of_contrib_and_passes_check(tmp_path: Path) -> None:
    environ = {"ENVIRONMENT": "test", "DATABASE_URL": f"sqlite:///{tmp_path}/app.db"}
    command = [sys.executable, "-c", SMALL_SITE]
    done = subprocess.run(command, cwd=PROJECT, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout
    packages = {f"opportune.{OPTIONAL_FEATURES[name]}" for name in CONTRIB}
    assert packages & {*done.stdout.split()} == set()


@pytest.mark.parametrize("names", [["backup", "dumps", "translations"]])
@pytest.mark.usefixtures("installed")
def test_command_names_the_feature_to_add(oppman: Oppman) -> None:
    commands = {"restore": "backup", "loaddata": "dumps", "compilemessages": "translations"}
    for command, feature in commands.items():
        expected = f"The command {command} belongs to the feature {feature}. Add `{feature}` to app/installed.py.\n"
        assert oppman(command).line() == expected


@pytest.mark.parametrize("names", [["backup", "telemetry"]])
@pytest.mark.usefixtures("installed")
def test_check_names_settings_of_features_left_out(oppman: Oppman, database_url: str) -> None:
    options = {"BACKUP_URL": "file:away", "METRICS_TOKEN": "key@" * 5}
    code, out, _ = oppman("check", DATABASE_URL=database_url, **options)
    assert code == 0
    for setting, feature in (("BACKUP_URL", "backup"), ("METRICS_TOKEN", "telemetry")):
        assert f"{setting} in the environment belongs to the feature {feature}. Add `{feature}`" in out
    assert "key@" not in out
