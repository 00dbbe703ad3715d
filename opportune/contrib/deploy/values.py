"""Check the values of production's settings before a deployment."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from opportune.checks import Finding
from opportune.config.base_settings import BaseSettings, read_class, setting_names, settings_classes
from opportune.config.settings import Settings
from opportune.config.validated_settings import GENERATE_KEY_COMMAND, is_weak
from opportune.contrib.deploy.env_production import read_env, required_names, setting_hints
from opportune.contrib.deploy.recipes import Recipe
from opportune.errors import SettingsError
from opportune.errors.suggestions import MIN_MISSPELT_SIMILARITY, closest_name

STAND_IN_KEY = "stand-in-0123456789-abcdefghijklmnop"
"""Replaces a missing key, so that the other rules can run."""
STAND_IN_URL = "postgresql://site:hidden@secrets.internal/site"
RAILWAY_REFERENCE = re.compile(r"\$\{\{.*\}\}")
RAILWAY_STAND_INS = {"DATABASE_URL": "postgresql://postgres:hidden@postgres.railway.internal:5432/railway"}
"""Replace the values of Railway's references."""
CHECKED_BY_RULES = ("BASE_URL", "DATABASE_URL", "STORAGE_URL")
"""Settings whose absence is reported by a more specific rule."""
PLACEHOLDER = re.compile(r"://(?:(?:KEY|SERVER-TOKEN|ACCESS-KEY)(?=[:@]|$)|user:password@)|:SECRET@|@HOST(?=[:/]|$)")
"""Placeholders of the documentation's examples."""
URL_SAFE = re.compile(r"[A-Za-z0-9_.~-]*")


def production_values(recipe: Recipe, env_file: Path | None) -> dict[str, str]:
    """Merge the file of settings and the environment, which wins."""
    names = {*setting_names(), *setting_hints(recipe)}
    environment = {name: value for name, value in os.environ.items() if name in names and value}
    written = read_env(env_file) if env_file else {}
    return {**written, **environment}


def check_values(recipe: Recipe, values: Mapping[str, str]) -> Iterator[Finding]:
    """Report missing, misspelt and insecure settings."""
    hints = setting_hints(recipe)
    uses_secret_store = bool(values.get("SECRETS_FROM"))
    if uses_secret_store:
        yield Finding.warning("Settings in the secret store of SECRETS_FROM are not checked.")
    for name in required_names(recipe):
        if not (values.get(name) or uses_secret_store or name in (*recipe.sets, *CHECKED_BY_RULES)):
            yield Finding(f"{name} is missing. {hints[name]}")
    if (key := values.get("SECRET_KEY", "")) and is_weak(key):
        yield Finding(f"SECRET_KEY is known or shorter than 32 random characters. Create one: {GENERATE_KEY_COMMAND}")
    if "ENVIRONMENT" in recipe.defaults and not values.get("ENVIRONMENT"):
        yield Finding("ENVIRONMENT is missing: set ENVIRONMENT=production.")
    elif values.get("ENVIRONMENT", "production") != "production":
        yield Finding(f"ENVIRONMENT is {values['ENVIRONMENT']}: set ENVIRONMENT=production.")
    if not URL_SAFE.fullmatch(values.get("POSTGRES_PASSWORD", "")):
        yield Finding("POSTGRES_PASSWORD becomes part of a URL: use only letters and digits.")
    for name, value in values.items():
        if match := PLACEHOLDER.search(value):
            yield Finding(f"{name} still contains the example {match[0].strip(':/@')}: replace it.")
    yield from _check_names(recipe, values)


def _check_names(recipe: Recipe, values: Mapping[str, str]) -> Iterator[Finding]:
    names = [*setting_names(), *setting_hints(recipe)]
    for name in values:
        if name.upper() not in names and (suggestion := closest_name(name, names, MIN_MISSPELT_SIMILARITY)):
            yield Finding.warning(f"{name} is not a setting and has no effect. Did you mean {suggestion}?")


def settings_from(recipe: Recipe, values: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Load the settings as on the host. Return None and the errors if they are invalid."""
    values = _with_stand_ins({**recipe.sets, **values})
    site_class, *feature_classes = settings_classes()
    settings, findings = _load(site_class, values)
    if settings is None:
        return None, findings
    assert isinstance(settings, Settings)
    feature_settings: list[BaseSettings] = []
    for class_ in feature_classes:
        loaded, faults = _load(class_, values)
        feature_settings.append(loaded or class_.model_construct())  # defaults, so that the rules can run
        findings += faults
    return settings.having(*feature_settings), findings


def _with_stand_ins(values: Mapping[str, str]) -> dict[str, str]:
    """Return the values, with others for those that only the host knows."""
    known = {
        name: RAILWAY_STAND_INS.get(name, "") if RAILWAY_REFERENCE.fullmatch(value.strip()) else value
        for name, value in values.items()
    }
    if is_weak(known.get("SECRET_KEY", "")):
        known["SECRET_KEY"] = STAND_IN_KEY
    if known.pop("SECRETS_FROM", ""):
        known.setdefault("DATABASE_URL", STAND_IN_URL)
    return {**known, "ENVIRONMENT": "production"}


def _load(class_: type[BaseSettings], values: Mapping[str, str]) -> tuple[BaseSettings | None, list[Finding]]:
    """Return the settings of a class, or None and a finding for each invalid one."""
    fields = {name.lower(): value for name, value in values.items() if name.lower() in class_.model_fields and value}
    try:
        return read_class(class_, _env_file=None, secrets_from="", **fields), []
    except SettingsError as error:
        return None, [Finding(problem) for problem in error.problems]
