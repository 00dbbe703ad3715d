"""Production's settings as they are before anything is pushed, and what is wrong with them one by one."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from opportune.checks import Finding
from opportune.config.base_settings import BaseSettings, read_class, setting_names, settings_classes
from opportune.config.settings import GENERATE_KEY_COMMAND, Settings, is_weak
from opportune.errors import SettingsError
from opportune.ops.deploy.env_production import asked_names, read_env, required_names
from opportune.ops.deploy.recipes import Recipe
from opportune.ops.deploy.rules.deployment import warning
from opportune.runtime.suggestions import MIN_MISSPELT_SIMILARITY, nearest

STAND_IN_KEY = "stand-in-0123456789-abcdefghijklmnop"
"""For the rules that come after the one of a missing key."""
STAND_IN_URL = "postgresql://site:hidden@secrets.internal/site"
TOLD_ELSEWHERE = ("BASE_URL", "DATABASE_URL", "STORAGE_URL")
"""Of what is missing, that of which rules of their own say more."""
EXAMPLE = re.compile(r"://(?:(?:KEY|SERVER-TOKEN|ACCESS-KEY)(?=[:@]|$)|user:password@)|:SECRET@|@HOST(?=[:/]|$)")
"""What stands in our own examples where something of the owner's belongs."""
URL_SAFE = re.compile(r"[A-Za-z0-9_.~-]*")
NEXT_SETTING = re.compile(r"; (?=[A-Z][A-Z0-9_]+\b)")
LINE = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)
DOMAIN_FILES = {"linux": "Caddyfile", "kubernetes": "ingress.yaml"}
"""What says on those hosts which visitors come to the site."""
SERVICE_ENTRY = re.compile(r'- name: ([A-Z][A-Z0-9_]*)\n +value(?:From:|: *"?([^"\n]*))')
"""An entry of a service's environment with its value, which is empty where it is a secret."""
REFERENCE = re.compile(r"\$\{\{.*\}\}")
REFERENCES = {"DATABASE_URL": "postgresql://postgres:hidden@postgres.railway.internal:5432/railway"}
"""What Railway's references become there, as far as rules look at it."""


def production_values(recipe: Recipe, env_file: Path | None) -> dict[str, str]:
    """What the host's files set, then the file of settings, then the environment: the last wins, as it will there.

    Raises:
        OperatorError: the file cannot be read.
    """
    known = {*setting_names(), *asked_names(recipe)}
    environment = {name: value for name, value in os.environ.items() if name in known and value}
    return {**(read_env(env_file) if env_file else {}), **environment}


def check_values(recipe: Recipe, values: Mapping[str, str]) -> Iterator[Finding]:
    """What is missing, what is no setting, and what production refuses."""
    words = asked_names(recipe)
    has_secrets_elsewhere = bool(values.get("SECRETS_FROM"))
    if has_secrets_elsewhere:
        yield warning("What SECRETS_FROM names is not looked at: settings there are not checked.")
    for name in required_names(recipe):
        if not (values.get(name) or has_secrets_elsewhere or name in (*recipe.sets, *TOLD_ELSEWHERE)):
            yield Finding(f"{name} is missing. {words[name]}")
    if (key := values.get("SECRET_KEY", "")) and is_weak(key):
        yield Finding(f"SECRET_KEY is known or shorter than 32 random characters. Make one: {GENERATE_KEY_COMMAND}")
    if "ENVIRONMENT" in recipe.asks and not values.get("ENVIRONMENT"):
        yield Finding(f"ENVIRONMENT is missing, and {recipe.host.title} does not tell: set ENVIRONMENT=production.")
    elif values.get("ENVIRONMENT", "production") != "production":
        yield Finding(f"ENVIRONMENT is {values['ENVIRONMENT']}: set ENVIRONMENT=production.")
    if not URL_SAFE.fullmatch(values.get("POSTGRES_PASSWORD", "")):
        yield Finding("POSTGRES_PASSWORD stands in addresses as it is: make one of letters and digits.")
    for name, value in values.items():
        if found := EXAMPLE.search(value):
            yield Finding(f"{name} still holds {found[0].strip(':/@')}, as the example has it: put your own there.")
    yield from _unknown(recipe, values)


def _unknown(recipe: Recipe, values: Mapping[str, str]) -> Iterator[Finding]:
    known = [*setting_names(), *asked_names(recipe)]
    for name in values:
        if name.upper() not in known and (near := nearest(name, known, MIN_MISSPELT_SIMILARITY)):
            yield warning(f"{name} is no setting and has no effect. Did you mean {near}?")


def check_file(recipe: Recipe, env_file: Path) -> Iterator[Finding]:
    """Whether others can read it, and what becomes of lines that a host takes as they stand."""
    if sys.platform != "win32" and env_file.stat().st_mode & 0o077:
        yield Finding(f"Other users of this machine can read the secrets in {env_file.name}: run chmod 600 {env_file}.")
    for name, value in LINE.findall(env_file.read_text(encoding="utf-8")):
        if recipe.host.name == "compose" and "$" in value and not value.startswith("'"):
            yield Finding(
                f"{name} has a $, with which {recipe.host.title} begins a variable: write %24 in an address, or put "
                "the value into single quotes."
            )
        if recipe.takes_quotes:
            continue
        if value[:1] in ("'", '"'):
            yield Finding(f"{name} stands in quotes, which {recipe.host.title} takes for a part of it: leave them out.")
        elif " #" in value:
            yield Finding(
                f"{name} has a comment behind it, which {recipe.host.title} takes for a part of it: give that a line "
                "of its own."
            )


def check_service_file(recipe: Recipe, values: Mapping[str, str], root: Path) -> Iterator[Finding]:
    """Where the host's own file names each setting that the site gets: what is given here and not there."""
    file = f"deploy/{recipe.host.name}/service.yaml"
    if not recipe.secrets or not (root / file).is_file():
        return
    there = dict(SERVICE_ENTRY.findall((root / file).read_text(encoding="utf-8", errors="replace")))
    if missing := ", ".join(name for name in values if name not in there and name != "ENVIRONMENT"):
        yield warning(f"What {file} does not name does not reach the site: add {missing} as SECRET_KEY is there.")
    for name, value in values.items():
        if there.get(name) not in (None, "", value):
            yield warning(f"{name} is {there[name]} in {file}, which counts: change it there.")


def check_domain(recipe: Recipe, base_url: str, root: Path) -> Iterator[Finding]:
    """Whether the proxy's file is for the domain of the site."""
    host, domain = recipe.host.name, urlsplit(base_url).hostname or ""
    file = f"deploy/{host}/{DOMAIN_FILES.get(host, '')}"
    if "." not in domain or not (root / file).is_file():
        return
    if domain not in (root / file).read_text(encoding="utf-8", errors="replace"):
        yield Finding(
            f"{file} does not name {domain}, the host of BASE_URL. Write it: "
            f"python3 oppman.py deploy init {host} --domain {domain}"
        )


def settings_from(recipe: Recipe, values: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """The settings as they will be there; None with what is wrong where they cannot be read."""
    given = {name: _resolved(name, value) for name, value in {**recipe.sets, **values}.items()}
    if is_weak(given.get("SECRET_KEY", "")):
        given["SECRET_KEY"] = STAND_IN_KEY
    if given.pop("SECRETS_FROM", ""):
        given.setdefault("DATABASE_URL", STAND_IN_URL)
    given["ENVIRONMENT"] = "production"
    try:
        site, *others = [_loaded(kind, given) for kind in settings_classes()]
    except SettingsError as error:
        return None, [Finding(line) for line in NEXT_SETTING.split(str(error))]
    assert isinstance(site, Settings)
    return site.having(*others), []


def _loaded(kind: type[BaseSettings], given: Mapping[str, str]) -> BaseSettings:
    names = kind.model_fields
    mine = {name.lower(): value for name, value in given.items() if name.lower() in names and value}
    return read_class(kind, _env_file=None, secrets_from="", **mine)


def _resolved(name: str, value: str) -> str:
    return REFERENCES.get(name, "") if REFERENCE.fullmatch(value.strip()) else value
