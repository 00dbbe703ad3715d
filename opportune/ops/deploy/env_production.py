"""`.env.production`: production's settings with generated secrets, for their owner to complete and copy to the host."""

import io
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from dotenv import dotenv_values

from opportune.config.env_lines import unreadable_line
from opportune.errors import OperatorError
from opportune.ops.deploy.host_files import write_text
from opportune.ops.deploy.recipes import OPTIONAL, WHERE, Recipe
from opportune.ops.deploy.site_names import EXAMPLE_DOMAIN, SiteNames

ENV_PRODUCTION = ".env.production"
GENERATED: dict[str, tuple[Callable[[], str], str]] = {
    "SECRET_KEY": (lambda: secrets.token_urlsafe(48), "Signs tokens. It was made for this site alone."),
    "POSTGRES_PASSWORD": (
        lambda: secrets.token_hex(24),
        "The database takes it at its first start. It was made for this site alone.",
    ),
}
"""Secrets that nobody has to look up, each with the comment above it."""


def asked_names(recipe: Recipe) -> dict[str, str]:
    """What the host's owner has to give or may give, each with the words on where to get it."""
    words = {**WHERE, **recipe.where}
    if recipe.tells_address:
        words["BASE_URL"] = "The site's address, for a domain of your own alone: the host tells the other."
    return {name: text for name, text in words.items() if text}


def required_names(recipe: Recipe) -> list[str]:
    """What a site cannot do without there."""
    return [name for name in asked_names(recipe) if not is_optional(name, recipe)]


def is_optional(name: str, recipe: Recipe) -> bool:
    has_default = name == "BASE_URL" and recipe.tells_address
    return name in OPTIONAL or has_default or "left out" in recipe.where.get(name, "")


def render_env(recipe: Recipe, site: SiteNames) -> str:
    """Return the text of a new file."""
    head = (
        f"# Production's settings for {recipe.host.title}. Neither git nor the image takes this file.\n"
        "# Fill in what is empty, without quotes, and remove the # before other lines that you set; .env.example\n"
        "# lists all settings. Then:\n"
        f"# python3 oppman.py deploy check {recipe.host.name}\n"
    )
    return head + "".join(_entries(recipe, site, without=frozenset()))


def write_env(path: Path, recipe: Recipe, site: SiteNames) -> list[str] | None:
    """Write the file with generated secrets, or add the names that an existing file lacks.

    Returns:
        The added names; None if there was no file.

    Raises:
        OperatorError: it cannot be read or written.
    """
    if not path.exists():
        write_text(path, render_env(recipe, site), is_private=True)
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} cannot be read ({getattr(error, 'strerror', 'no UTF-8')}).") from None
    there = frozenset(re.findall(r"^[#\s]*(?:export\s+)?([A-Z][A-Z0-9_]*)=", text, re.MULTILINE))
    added = [name for name in (*asked_names(recipe), *recipe.asks) if name not in there]
    if new := "".join(_entries(recipe, site, without=there)):
        write_text(path, f"{text.rstrip()}\n{new}", is_private=True)
    return list(dict.fromkeys(added))


def read_env(path: Path) -> dict[str, str]:
    """What it sets, without what is still empty.

    Raises:
        OperatorError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} cannot be read ({getattr(error, 'strerror', 'no UTF-8')}).") from None
    if fault := unreadable_line(text):
        raise OperatorError(f"{path}: {fault}")
    return {name: value for name, value in dotenv_values(stream=io.StringIO(text), interpolate=False).items() if value}


def _entries(recipe: Recipe, site: SiteNames, without: frozenset[str]) -> Iterator[str]:
    known = {"BASE_URL": f"https://{site.domain}"} if site.domain != EXAMPLE_DOMAIN else {}
    values = {**known, **recipe.asks}
    for name, words in asked_names(recipe).items():
        if name in without:
            continue
        if name in GENERATED:
            generate, comment = GENERATED[name]
            yield f"\n# {comment}\n{name}={generate()}\n"
            continue
        mark = "# " if is_optional(name, recipe) and name not in values else ""
        yield f"\n# {words}\n{mark}{name}={values.get(name, '')}\n"
    if rest := [name for name in recipe.asks if name not in {*without, *asked_names(recipe)}]:
        yield f"\n# As {recipe.host.title} wants them.\n" + "".join(f"{name}={recipe.asks[name]}\n" for name in rest)
