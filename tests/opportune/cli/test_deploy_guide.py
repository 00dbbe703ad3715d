"""docs/deploy.md and the Dockerfile name what there is."""

import json
import re
import tomllib

import pytest

from opportune import features
from opportune.cli.registry import HELPS
from opportune.hosts import HOST_VARIABLES
from opportune.project import PROJECT
from opportune.settings import Settings
from opportune.web.health import HEALTH_PATHS

GUIDE = (PROJECT / "docs" / "deploy.md").read_text(encoding="utf-8")
DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
INSTALL = "pip install --no-deps --require-hashes -r requirements.lock"
NOT_OURS = {
    "DATABASE_PUBLIC_URL",
    "DATABASE_UNPOOLED_URL",
    "RAILWAY_RUN_UID",
    "ON_FAILURE",
    "AWS_ENDPOINT_URL",
    *HOST_VARIABLES,
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


def test_the_files_of_the_hosts_can_be_parsed() -> None:
    (fly,) = map(tomllib.loads, blocks("toml"))
    _secret, railway = map(json.loads, blocks("json"))
    assert fly["http_service"]["internal_port"] == int(fly["env"]["PORT"])
    assert railway["deploy"]["healthcheckPath"] in HEALTH_PATHS


@pytest.mark.parametrize("text", [GUIDE, DOCKERFILE], ids=["guide", "Dockerfile"])
def test_every_command_exists(text: str) -> None:
    named = set(re.findall(r'oppman\.py"?,? "?([a-z]+)', text))
    assert named
    assert named <= HELPS.keys()


@pytest.mark.parametrize("text", [GUIDE, DOCKERFILE], ids=["guide", "Dockerfile"])
def test_every_health_path_exists(text: str) -> None:
    named = set(re.findall(r"/(?:health|kaith)[a-z/]*", text))
    assert named
    assert named <= HEALTH_PATHS


def test_every_setting_exists() -> None:
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", GUIDE)) - NOT_OURS
    kinds = [Settings, *(kind for name in features.__all__ if (kind := getattr(features, name).settings))]
    assert named <= {name.upper() for kind in kinds for name in kind.model_fields}


def test_hosts_install_exactly_the_production_lock() -> None:
    assert INSTALL in GUIDE
    assert INSTALL in DOCKERFILE.replace(" --no-cache-dir", "")
