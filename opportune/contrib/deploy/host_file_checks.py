"""Check the files of a host, with the values that they need."""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from opportune.checks import Finding
from opportune.contrib.deploy.recipes import Recipe
from opportune.project.current import OPPMAN

ENV_LINE = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)
DOMAIN_FILES = {"linux": "Caddyfile", "kubernetes": "production/ingress.yaml"}
"""Files that contain the site's domain."""
SERVICE_ENTRY = re.compile(r'- name: ([A-Z][A-Z0-9_]*)\n +value(?:From:|: *"?([^"\n]*))')
"""Environment variable of a service with its value, or "" for a secret."""
MAXIMUM_OF_PODS = re.compile(r"^ *(?:maxReplicas|maxReplicaCount): *(\d+)", re.MULTILINE)
PROCESSES_SETTING = re.compile(r"^ *- PROCESSES=(\d+)", re.MULTILINE)


def check_file(recipe: Recipe, env_file: Path) -> Iterator[Finding]:
    """Check the file's mode, and lines that the host reads differently than `.env` files."""
    title = recipe.host.title
    if sys.platform != "win32" and env_file.stat().st_mode & 0o077:
        yield Finding(f"Other users of this machine can read the secrets in {env_file.name}: run chmod 600 {env_file}.")
    for name, value in ENV_LINE.findall(env_file.read_text(encoding="utf-8-sig")):
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
        yield Finding.warning(f"{file} does not pass {missing} to the site: add entries like that of SECRET_KEY.")
    for name, value in values.items():
        if entries.get(name) not in (None, "", value):
            yield Finding.warning(f"{name} is {entries[name]} in {file}, which takes precedence: change it there.")


def check_scaling(recipe: Recipe, values: Mapping[str, str], root: Path) -> Iterator[Finding]:
    """Check that PROCESSES includes all pods, because each takes its share of DATABASE_CONNECTIONS."""
    folder = root / "deploy/kubernetes/production"
    files = [folder / "scaling.yaml", folder / "kustomization.yaml"]
    if recipe.host.name != "kubernetes" or not all(map(Path.is_file, files)):
        return
    scaling, kustomization = (file.read_text(encoding="utf-8", errors="replace") for file in files)
    maxima = [int(maximum) for maximum in MAXIMUM_OF_PODS.findall(scaling)]
    pods = sum(maxima) + len(maxima)  # a release adds one of each
    counted = [values["PROCESSES"]] if values.get("PROCESSES") else PROCESSES_SETTING.findall(kustomization)
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
