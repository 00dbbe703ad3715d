from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from opportune.config.base_settings import BaseSettings
from opportune.config.hosts import shutdown_seconds
from opportune.errors import OperatorError
from opportune.llm.tools.web_search import parse_web_search_url

SPARED_SECONDS = 2.0
"""Seconds of the host's time that are left for handing over, and for what closes the database."""


def _zero_if_empty(value: object) -> object:
    return 0 if isinstance(value, str) and not value.strip() else value


def _none_if_empty(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


TokenLimit = Annotated[int, BeforeValidator(_zero_if_empty), Field(ge=0)]
CostLimit = Annotated[Decimal, BeforeValidator(_zero_if_empty), Field(ge=0, le=1_000_000_000)]


class AnswersSettings(BaseSettings):
    answer_grace_seconds: Annotated[float | None, BeforeValidator(_none_if_empty)] = Field(default=None, ge=0)
    """Seconds for answers to end after SIGTERM; then another process goes on. Empty: what the host gives, less 2."""

    llm_max_tokens_per_person_per_day: TokenLimit = 0
    """Tokens of prompts and answers together that a person may use in a day of TIME_ZONE. 0 or empty: no limit."""
    llm_max_tokens_per_person_per_month: TokenLimit = 0
    """The same in a month."""
    llm_max_cost_per_person_per_day: CostLimit = Decimal(0)
    """What they may cost, by the prices in LLM_MODELS (0.50)."""
    llm_max_cost_per_person_per_month: CostLimit = Decimal(0)
    """The same in a month."""
    llm_max_tokens_per_day: TokenLimit = 0
    """Tokens that all of the site may use in a day: people, visitors, jobs and commands."""
    llm_max_tokens_per_month: TokenLimit = 0
    """The same in a month."""
    llm_max_cost_per_day: CostLimit = Decimal(0)
    """What they may cost. At 80 and at 100 % of what the site may, superusers get an e-mail."""
    llm_max_cost_per_month: CostLimit = Decimal(0)
    """The same in a month."""
    llm_max_tokens_per_visitor_per_day: TokenLimit = 50_000
    """Tokens for each address of whoever is not signed in, or is in one of LLM_DEMO_ACCOUNTS."""
    llm_currency: str = Field(default="USD", max_length=10)
    """What the prices in LLM_MODELS are in."""
    llm_demo_accounts: str = ""
    """E-mails, with commas, of accounts that anybody may use: there each address counts for itself, as a visitor."""

    web_search_url: SecretStr = SecretStr("")
    """Where answers search the web: https://search.example.org/search (SearXNG), brave://KEY or tavily://KEY."""

    @field_validator("web_search_url")
    @classmethod
    def _names_a_search(cls, value: SecretStr) -> SecretStr:
        if url := value.get_secret_value().strip():
            try:
                parse_web_search_url(url)
            except OperatorError as error:
                raise ValueError(str(error).removeprefix("WEB_SEARCH_URL ")) from None
        return SecretStr(url)

    @property
    def demo_emails(self) -> set[str]:
        return {each.strip().lower() for each in self.llm_demo_accounts.split(",") if each.strip()}


def grace_seconds(settings: AnswersSettings, *, is_production: bool) -> float:
    """Seconds that answers have to end when the process is told to stop."""
    if settings.answer_grace_seconds is not None:
        return settings.answer_grace_seconds
    return max(0.0, shutdown_seconds() - SPARED_SECONDS) if is_production else 0.0
