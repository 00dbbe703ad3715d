"""Questions of `deploy check` about facts that are not in the settings."""

import sys
from dataclasses import replace
from typing import Any

import typer

from opportune.contrib.deploy.rules.deployment import Deployment, DeploymentOptions
from opportune.contrib.deploy.site_names import require_domain
from opportune.db.url.database_url import DatabaseUrl

FLAGS = {
    "is_paid": "--paid or --free",
    "has_volume": "--volume or --no-volume",
    "has_pooler": "--pooler or --no-pooler",
    "domain": "--domain example.org",
}
VALUES_FOR_NO = {"domain": ""}
QUESTIONS = {
    "is_paid": "Is it a paid plan?",
    "has_volume": "Is a volume mounted at data/, where the site writes?",
    "has_pooler": "Is there a pooler such as PgBouncer in front of the database?",
    "domain": "Does the site have its own domain?",
}


def complete_options(deployment: Deployment, *, yes: bool) -> DeploymentOptions:
    """Ask about options that are not set, or with `yes` answer each question with no.

    Raises:
        typer.BadParameter: questions remain, but there is no terminal. The message names the options to set.
    """
    options = deployment.options
    names = [name for name in QUESTIONS if getattr(options, name) is None and _is_relevant(name, deployment)]
    if names and not yes and not sys.stdin.isatty():
        questions = " ".join(f"{_question_text(name, deployment)} Add {FLAGS[name]}." for name in names)
        raise typer.BadParameter(f"{questions} Or add --yes to answer no to all of them.")
    values: dict[str, Any] = {name: VALUES_FOR_NO.get(name, False) if yes else _ask(name, deployment) for name in names}
    return replace(options, **values)


def _is_relevant(name: str, deployment: Deployment) -> bool:
    recipe, url = deployment.recipe, deployment.database
    if name == "is_paid":
        return bool(recipe.free_limits)
    if name == "has_volume":
        writes_to_disk = bool(url and url.kind == "sqlite") or deployment.uploads is not None
        return writes_to_disk and recipe.has_volumes and not recipe.host.keeps_disk
    if name == "domain":
        return recipe.provides_address and not deployment.settings.base_url
    return _pooler_is_unknown(url) and deployment.settings.database_pooled == "auto"


def _pooler_is_unknown(url: DatabaseUrl | None) -> bool:
    return bool(url and url.kind == "postgresql" and not url.provider and not url.pooled)


def _question_text(name: str, deployment: Deployment) -> str:
    plan = deployment.recipe.first_paid_plan
    return f"Is it the plan {plan} or a larger one?" if name == "is_paid" and plan else QUESTIONS[name]


def _ask(name: str, deployment: Deployment) -> bool | str:
    question = _question_text(name, deployment)
    if name == "domain":
        domain: str = typer.prompt(
            f"{question} Enter its name, or nothing:", default="", show_default=False, prompt_suffix=" "
        )
        return require_domain(domain) if domain.strip() else ""
    return typer.confirm(question)
