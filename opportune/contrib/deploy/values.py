"""Check the values of production's settings before a deployment."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from opportune.checks import Finding
from opportune.config.base_settings import BaseSettings, read_class, setting_names, settings_classes
from opportune.config.settings import Settings
from opportune.config.validated_settings import GENERATE_KEY_COMMAND, is_weak
from opportune.contrib.deploy.env_production import read_env, required_names, setting_hints
from opportune.contrib.deploy.recipes import Recipe
from opportune.contrib.deploy.rules.deployment import warning
from opportune.errors import SettingsError
from opportune.errors.suggestions import MIN_MISSPELT_SIMILARITY, closest_name
from opportune.project.current import OPPMAN

STAND_IN_KEY = "stand-in-0123456789-abcdefghijklmnop"
"""Replaces a missing key, so that the other rules can run."""
STAND_IN_URL = "postgresql://site:hidden@secrets.internal/site"
CHECKED_BY_RULES = ("BASE_URL", "DATABASE_URL", "STORAGE_URL")
"""Settings whose absence is reported by a more specific rule."""
EXAMPLE = re.compile(r"://(?:(?:KEY|SERVER-TOKEN|ACCESS-KEY)(?=[:@]|$)|user:password@)|:SECRET@|@HOST(?=[:/]|$)")
"""Placeholders of the documentation's examples."""
URL_SAFE = re.compile(r"[A-Za-z0-9_.~-]*")
NEXT_SETTING = re.compile(r"; (?=[A-Z][A-Z0-9_]+\b)")
LINE = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)
DOMAIN_FILES = {"linux": "Caddyfile", "kubernetes": "production/ingress.yaml"}
"""Files that contain the site's domain."""
SERVICE_ENTRY = re.compile(r'- name: ([A-Z][A-Z0-9_]*)\n +value(?:From:|: *"?([^"\n]*))')
"""Environment variable of a service with its value, or "" for a secret."""
MAXIMUM = re.compile(r"^ *(?:maxReplicas|maxReplicaCount): *(\d+)", re.MULTILINE)
PROCESSES = re.compile(r"^ *- PROCESSES=(\d+)", re.MULTILINE)
REFERENCE = re.compile(r"\$\{\{.*\}\}")
REFERENCES = {"DATABASE_URL": "postgresql://postgres:hidden@postgres.railway.internal:5432/railway"}
"""Stand-ins for the values of Railway's references."""


def production_values(recipe: Recipe, env_file: Path | None) -> dict[str, str]:
    """Merge the file of settings and the environment, which wins.

    Raises:
        OperatorError: The file cannot be read.
    """
    names = {*setting_names(), *setting_hints(recipe)}
    environment = {name: value for name, value in os.environ.items() if name in names and value}
    written = read_env(env_file) if env_file else {}
    return {**written, **environment}


def check_values(recipe: Recipe, values: Mapping[str, str]) -> Iterator[Finding]:
    """Report missing, misspelt and insecure settings."""
    hints = setting_hints(recipe)
    uses_secret_store = bool(values.get("SECRETS_FROM"))
    if uses_secret_store:
        yield warning("Settings in the secret store of SECRETS_FROM are not checked.")
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
        if match := EXAMPLE.search(value):
            yield Finding(f"{name} still contains the example {match[0].strip(':/@')}: replace it.")
    yield from _check_names(recipe, values)


def _check_names(recipe: Recipe, values: Mapping[str, str]) -> Iterator[Finding]:
    names = [*setting_names(), *setting_hints(recipe)]
    for name in values:
        if name.upper() not in names and (suggestion := closest_name(name, names, MIN_MISSPELT_SIMILARITY)):
            yield warning(f"{name} is not a setting and has no effect. Did you mean {suggestion}?")


def check_file(recipe: Recipe, env_file: Path) -> Iterator[Finding]:
    """Check the file's mode, and lines that the host reads differently than `.env` files."""
    title = recipe.host.title
    if sys.platform != "win32" and env_file.stat().st_mode & 0o077:
        yield Finding(f"Other users of this machine can read the secrets in {env_file.name}: run chmod 600 {env_file}.")
    for name, value in LINE.findall(env_file.read_text(encoding="utf-8")):
        if recipe.host.name == "compose" and "$" in value and not value.startswith("'"):
            yield Finding(
                f"{name} contains a $, which begins a variable in {title}: write %24 in a URL, or use single quotes."
            )
        is_kept_verbatim = not recipe.strips_quotes
        if is_kept_verbatim and value[:1] in ("'", '"'):
            yield Finding(f"{name} has quotes, which {title} makes part of the value: remove them.")
        elif is_kept_verbatim and " #" in value:
            yield Finding(
                f"{name} is followed by a comment, which {title} makes part of the value: move it to another line."
            )


def check_service_file(recipe: Recipe, values: Mapping[str, str], root: Path) -> Iterator[Finding]:
    """Compare the settings with the host's service file. Only settings in that file reach the site."""
    file = f"deploy/{recipe.host.name}/service.yaml"
    if not recipe.secrets or not (root / file).is_file():
        return
    entries = dict(SERVICE_ENTRY.findall((root / file).read_text(encoding="utf-8", errors="replace")))
    if missing := ", ".join(name for name in values if name not in entries and name != "ENVIRONMENT"):
        yield warning(f"{file} does not pass {missing} to the site: add entries like that of SECRET_KEY.")
    for name, value in values.items():
        if entries.get(name) not in (None, "", value):
            yield warning(f"{name} is {entries[name]} in {file}, which takes precedence: change it there.")


def check_scaling(recipe: Recipe, values: Mapping[str, str], root: Path) -> Iterator[Finding]:
    """Check that PROCESSES includes all pods, because each takes its share of DATABASE_CONNECTIONS."""
    folder = root / "deploy/kubernetes/production"
    files = [folder / "scaling.yaml", folder / "kustomization.yaml"]
    if recipe.host.name != "kubernetes" or not all(map(Path.is_file, files)):
        return
    scaling, kustomization = (file.read_text(encoding="utf-8", errors="replace") for file in files)
    maxima = [int(maximum) for maximum in MAXIMUM.findall(scaling)]
    pods = sum(maxima) + len(maxima)  # a release adds one of each
    counted = [values["PROCESSES"]] if values.get("PROCESSES") else PROCESSES.findall(kustomization)
    if counted and counted[0].isdecimal() and int(counted[0]) < pods:
        yield Finding(
            f"scaling.yaml allows {pods} pods during a release, but PROCESSES is {counted[0]}, so they may exceed "
            f"DATABASE_CONNECTIONS: set PROCESSES={pods} in deploy/kubernetes/production/kustomization.yaml."
        )


def check_domain(recipe: Recipe, base_url: str, root: Path) -> Iterator[Finding]:
    """Check that the proxy's file contains the domain of the site."""
    host = recipe.host.name
    domain = urlsplit(base_url).hostname or ""
    file = f"deploy/{host}/{DOMAIN_FILES.get(host, '')}"
    if "." not in domain or not (root / file).is_file():
        return
    if domain not in (root / file).read_text(encoding="utf-8", errors="replace"):
        yield Finding(
            f"{file} does not contain {domain}, the host of BASE_URL. Run: "
            f"{OPPMAN} deploy init {host} --domain {domain}"
        )


def settings_from(recipe: Recipe, values: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Load the settings as on the host. Return None and the errors if they are invalid."""
    values = _with_stand_ins({**recipe.sets, **values})
    site_class, *feature_classes = settings_classes()
    try:
        settings = _load(site_class, values)
    except SettingsError as error:
        return None, [Finding(line) for line in NEXT_SETTING.split(str(error))]
    assert isinstance(settings, Settings)
    feature_settings: list[BaseSettings] = []
    findings: list[Finding] = []
    for class_ in feature_classes:
        try:
            feature_settings.append(_load(class_, values))
        except SettingsError as error:
            findings += [Finding(line) for line in NEXT_SETTING.split(str(error))]
            feature_settings.append(class_.model_construct())  # defaults, so that the rules can run
    return settings.having(*feature_settings), findings


def _with_stand_ins(values: Mapping[str, str]) -> dict[str, str]:
    """Return the values, with others for those that only the host knows."""
    known = {
        name: REFERENCES.get(name, "") if REFERENCE.fullmatch(value.strip()) else value
        for name, value in values.items()
    }
    if is_weak(known.get("SECRET_KEY", "")):
        known["SECRET_KEY"] = STAND_IN_KEY
    if known.pop("SECRETS_FROM", ""):
        known.setdefault("DATABASE_URL", STAND_IN_URL)
    return {**known, "ENVIRONMENT": "production"}


def _load(type_: type[BaseSettings], values: Mapping[str, str]) -> BaseSettings:
    fields = {name.lower(): value for name, value in values.items() if name.lower() in type_.model_fields and value}
    return read_class(type_, _env_file=None, secrets_from="", **fields)
