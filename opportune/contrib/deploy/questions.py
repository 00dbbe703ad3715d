"""Questions to the operator about a deployment, such as its plan, which are not in the settings."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import typer

from opportune.contrib.deploy.rules.deployment import Deployment, DeploymentOptions
from opportune.contrib.deploy.site_names import require_domain


def may_have_volume(deployment: Deployment) -> bool:
    url = deployment.database
    writes_to_disk = bool(url and url.kind == "sqlite") or deployment.uploads is not None
    return writes_to_disk and deployment.recipe.has_volumes and not deployment.recipe.host.keeps_disk


def may_have_pooler(deployment: Deployment) -> bool:
    url = deployment.postgresql
    is_unknown = url is not None and not url.provider and not url.pooled
    return is_unknown and deployment.settings.database_pooled == "auto"


class Question(NamedTuple):
    is_relevant: Callable[[Deployment], bool]
    text: str
    flags: str
    """Options that answer it."""
    no: bool | str = False
    """Value of the option for the answer no."""


QUESTIONS = {
    "is_paid": Question(
        lambda deployment: bool(deployment.recipe.free_limits), "Is it a paid plan?", "--paid or --free"
    ),
    "has_volume": Question(
        may_have_volume, "Is a volume mounted at data/, where the site writes?", "--volume or --no-volume"
    ),
    "has_pooler": Question(
        may_have_pooler, "Is there a pooler such as PgBouncer in front of the database?", "--pooler or --no-pooler"
    ),
    "domain": Question(
        lambda deployment: deployment.recipe.provides_url and not deployment.settings.base_url,
        "Does the site have its own domain?",
        "--domain example.org",
        no="",
    ),
}
"""Questions by field of `DeploymentOptions`."""


def complete_options(deployment: Deployment, *, yes: bool) -> DeploymentOptions:
    """Ask about options that are not set, or with `yes` answer each question with no."""
    relevant = [name for name, question in QUESTIONS.items() if question.is_relevant(deployment)]
    names = [name for name in relevant if getattr(deployment.options, name) is None]
    if names and not yes and not sys.stdin.isatty():
        questions = " ".join(f"{_question_text(name, deployment)} Add {QUESTIONS[name].flags}." for name in names)
        raise typer.BadParameter(f"{questions} Or add --yes to answer no to all of them.")
    values: dict[str, Any] = {name: QUESTIONS[name].no if yes else _ask(name, deployment) for name in names}
    return replace(deployment.options, **values)


def _question_text(name: str, deployment: Deployment) -> str:
    plan = deployment.recipe.first_paid_plan
    return f"Is it the plan {plan} or a larger one?" if name == "is_paid" and plan else QUESTIONS[name].text


def _ask(name: str, deployment: Deployment) -> bool | str:
    question = _question_text(name, deployment)
    if name == "domain":
        domain: str = typer.prompt(
            f"{question} Enter its name, or nothing:", default="", show_default=False, prompt_suffix=" "
        )
        return require_domain(domain) if domain.strip() else ""
    return typer.confirm(question)
