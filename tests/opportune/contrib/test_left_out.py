"""Sites that leave out features of `opportune.contrib`."""

import subprocess
import sys
from pathlib import Path

import pytest

from opportune.cli.development.settings_checks import check_names
from opportune.project.layout import PACKAGE, PROJECT
from opportune.project.optional_features import OPTIONAL_FEATURES
from opportune.testing.plugin import settings_for
from tests.opportune.feature_rounds import features_without

CONTRIB = [name for name, package in OPTIONAL_FEATURES.items() if package.startswith("contrib.")]
SMALL_SITE = Path(__file__).with_name("small_site.txt").read_text(encoding="utf-8")


def test_small_site_imports_nothing_of_contrib_and_passes_check(tmp_path: Path) -> None:
    environ = {"ENVIRONMENT": "test", "DATABASE_URL": f"sqlite:///{tmp_path}/app.db"}
    command = [sys.executable, "-c", SMALL_SITE]
    done = subprocess.run(command, cwd=PROJECT, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert {f"opportune.{OPTIONAL_FEATURES[name]}" for name in CONTRIB} & {*done.stdout.split()} == set()


def test_check_names_settings_of_features_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{PACKAGE}.installed.INSTALLED", features_without(["backup", "telemetry"]))
    settings = {"BACKUP_URL": "file:away", "METRICS_TOKEN": "key@" * 5}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    text = "".join(finding.text for finding in check_names(settings_for("sqlite://")))
    for setting, feature in (("BACKUP_URL", "backup"), ("METRICS_TOKEN", "telemetry")):
        assert f"{setting} in the environment belongs to the feature {feature}. Add `{feature}`" in text
    assert "key@" not in text
