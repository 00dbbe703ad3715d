"""`.env.production`: settings for a host with generated secrets, to be completed by the operator."""

import io
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from dotenv import dotenv_values

from opportune.config.env_lines import unreadable_line
from opportune.contrib.deploy.recipes import OPTIONAL, SETTING_HINTS, Recipe
from opportune.contrib.deploy.site_names import EXAMPLE_DOMAIN, SiteNames
from opportune.contrib.deploy.text_files import write_deploy_file
from opportune.errors import OperatorError
from opportune.project.text_files import read_text

ENV_PRODUCTION = ".env.production"

GENERATED: dict[str, tuple[Callable[[], str], str]] = {
    "SECRET_KEY": (lambda: secrets.token_urlsafe(48), "Signs tokens. Generated for this site."),
    "POSTGRES_PASSWORD": (
        lambda: secrets.token_hex(24),
        "Password of the database, set when it starts for the first time. Generated for this site.",
    ),
}
"""Generated secrets, each with the comment above it."""


def setting_hints(recipe: Recipe) -> dict[str, str]:
    """Return the settings that the operator sets, with hints on where to find their values."""
    hints = {**SETTING_HINTS, **recipe.hints}
    if recipe.provides_url:
        hints["BASE_URL"] = "Address of the site, only if you have your own domain: the host provides its own."
    return {name: hint for name, hint in hints.items() if hint}


def required_names(recipe: Recipe) -> list[str]:
    return [name for name in setting_hints(recipe) if not is_optional(name, recipe)]


def is_optional(name: str, recipe: Recipe) -> bool:
    has_default = name == "BASE_URL" and recipe.provides_url
    return has_default or name in (*OPTIONAL, *recipe.optional)


def render_env(recipe: Recipe, site: SiteNames) -> str:
    """Return the text of a new file."""
    head = (
        f"# Production settings for {recipe.host.title}. This file is neither in git nor in the image.\n"
        "# Fill in the empty values without quotes, and remove the # before other lines that you set.\n"
        "# `python3 oppman.py env --all` lists all settings. Then run:\n"
        f"# python3 oppman.py deploy check {recipe.host.name}\n"
    )
    return head + "".join(entry for _, entry in _entries(recipe, site))


def write_env(path: Path, recipe: Recipe, site: SiteNames) -> list[str] | None:
    """Write the file with generated secrets, or add missing settings to an existing file.

    Return the added names, or None for a new file.
    """
    if not path.exists():
        write_deploy_file(path, render_env(recipe, site), is_private=True)
        return None
    text = read_text(path)
    added = []
    for name, entry in _entries(recipe, site):
        new_text = _with_entry(text, name, entry)
        if new_text != text:
            added.append(name)
            text = new_text
    if added:
        write_deploy_file(path, text, is_private=True)
    return added


def _with_entry(text: str, name: str, entry: str) -> str:
    """Return the text with a setting that it lacks, or that this host needs and that has no value yet."""
    line = entry.splitlines()[-1]
    is_listed = re.search(rf"^[#\s]*(?:export\s+)?{name}=", text, re.MULTILINE)
    has_value = re.search(rf"^\s*(?:export\s+)?{name}=[ \t]*\S", text, re.MULTILINE)
    if not is_listed:
        return f"{text.rstrip()}\n{entry}"
    if has_value or line.startswith("#"):
        return text
    return re.sub(rf"^[# \t]*{name}=[ \t]*$", line, text, count=1, flags=re.MULTILINE)


def read_env(path: Path) -> dict[str, str]:
    """Return the settings with a value."""
    text = read_text(path)
    if problem := unreadable_line(text):
        raise OperatorError(f"{path}: {problem}")
    return {name: value for name, value in dotenv_values(stream=io.StringIO(text), interpolate=False).items() if value}


def _entries(recipe: Recipe, site: SiteNames) -> Iterator[tuple[str, str]]:
    """Yield the name of each setting with its lines, which begin with a comment."""
    hints = setting_hints(recipe)
    base_url = {"BASE_URL": f"https://{site.domain}"} if site.domain != EXAMPLE_DOMAIN else {}
    values = {**base_url, **recipe.defaults}
    for name, hint in hints.items():
        value = values.get(name, "")
        comment = hint
        if name in GENERATED:
            generate, comment = GENERATED[name]
            value = generate()
        comment_sign = "# " if is_optional(name, recipe) and name not in values else ""
        yield name, f"\n# {comment}\n{comment_sign}{name}={value}\n"
    heading = f"\n# Values for {recipe.host.title}.\n"
    for name, value in recipe.defaults.items():
        if name not in hints:
            yield name, f"{heading}{name}={value}\n"
            heading = ""
