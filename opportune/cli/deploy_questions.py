"""What `deploy check` asks, since no setting tells it."""

import sys
from dataclasses import replace
from typing import Any

import typer

from opportune.db.url.database_url import DatabaseURL
from opportune.deploy.rules.deployment import Answers, Deployment
from opportune.deploy.site_names import require_domain

FLAGS = {
    "is_paid": "--paid or --free",
    "has_volume": "--volume or --no-volume",
    "has_pooler": "--pooler or --no-pooler",
    "domain": "--domain example.org",
}
EMPTY = {"domain": ""}
QUESTIONS = {
    "is_paid": "Is it a paid plan?",
    "has_volume": "Is a volume mounted where the site writes (data/)?",
    "has_pooler": "Is there a pooler such as PgBouncer in front of the database?",
    "domain": "Is there a domain of your own?",
}


def answered(deployment: Deployment, *, yes: bool) -> Answers:
    """The answers with those that were missing: asked for, or with `yes` taken as no.

    Raises:
        typer.BadParameter: there is nobody to ask.
    """
    answers = deployment.answers
    for name in QUESTIONS:
        if getattr(answers, name) is None and _matters(name, deployment):
            given: dict[str, Any] = {name: EMPTY.get(name, False) if yes else _ask(name, deployment)}
            answers = replace(answers, **given)
    return answers


def _matters(name: str, deployment: Deployment) -> bool:
    recipe, url = deployment.recipe, deployment.database
    if name == "is_paid":
        return bool(recipe.paid_lifts)
    if name == "has_volume":
        writes = bool(url and url.kind == "sqlite") or deployment.uploads is not None
        return writes and recipe.has_volumes and not recipe.host.keeps_disk
    if name == "domain":
        return recipe.tells_address and not deployment.settings.base_url
    return _pooler_is_unknown(url) and deployment.settings.database_pooled == "auto"


def _pooler_is_unknown(url: DatabaseURL | None) -> bool:
    return bool(url and url.kind == "postgresql" and not url.provider and not url.pooled)


def _ask(name: str, deployment: Deployment) -> bool | str:
    question, plan = QUESTIONS[name], deployment.recipe.paid_from
    if name == "is_paid" and plan:
        question = f"Is it the plan {plan}, or a larger one?"
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{question} Say {FLAGS[name]}, or --yes for no to all of them.")
    if name == "domain":
        domain: str = typer.prompt(
            f"{question} Its name, or nothing:", default="", show_default=False, prompt_suffix=" "
        )
        return require_domain(domain) if domain.strip() else ""
    return typer.confirm(question)
