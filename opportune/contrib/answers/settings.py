"""Settings of answers: limits of tokens, cost and time, demo accounts, storage, and web search."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from opportune.config.base_settings import BaseSettings
from opportune.contrib.tools.web_search import parse_web_search_url
from opportune.errors import OperatorError

TokenLimit = Annotated[int, Field(ge=0)]
CostLimit = Annotated[Decimal, Field(ge=0, le=1_000_000_000)]


class AnswersSettings(BaseSettings):
    llm_max_tokens_per_person_per_day: TokenLimit = 0
    """Tokens (prompts and answers) per user and day of TIME_ZONE. 0 or empty: no limit."""
    llm_max_tokens_per_person_per_month: TokenLimit = 0
    """Tokens per user and month."""
    llm_max_cost_per_person_per_day: CostLimit = Decimal(0)
    """Cost per user and day, by the prices in LLM_MODELS (0.50)."""
    llm_max_cost_per_person_per_month: CostLimit = Decimal(0)
    """Cost per user and month."""
    llm_max_tokens_per_day: TokenLimit = 0
    """Tokens per day of the whole site: users, visitors, jobs and commands."""
    llm_max_tokens_per_month: TokenLimit = 0
    """Tokens per month of the whole site."""
    llm_max_cost_per_day: CostLimit = Decimal(0)
    """Cost per day of the whole site. Superusers get an e-mail at 80 % and 100 % of each limit of the site."""
    llm_max_cost_per_month: CostLimit = Decimal(0)
    """Cost per month of the whole site."""
    llm_max_steps_per_answer: int = Field(default=8, ge=1, le=1_000)
    """Rounds of tool calls per answer, after which the model must answer without tools."""
    llm_max_seconds_per_answer: int = Field(default=0, ge=0)
    """Seconds in which an answer is written, without waiting for the user or a job. 0 or empty: no limit."""
    llm_max_cost_per_answer: CostLimit = Decimal(0)
    """Cost of one answer with all its steps."""
    llm_max_tokens_per_visitor_per_day: TokenLimit = 50_000
    """Tokens per day and IP address of visitors who are not signed in, or use one of LLM_DEMO_ACCOUNTS."""
    llm_currency: str = Field(default="USD", max_length=10)
    """Currency of the prices in LLM_MODELS."""
    llm_demo_accounts: str = ""
    """E-mails (separated by commas) of public demo accounts. Their users are limited by IP address, like visitors."""

    llm_usage_days: int = Field(default=730, ge=0, le=36_500)
    """Days to keep the daily usage of each user. The sums of the site are kept. 0 keeps all."""
    unowned_answer_days: int = Field(default=0, ge=0, le=36_500)
    """Days to keep answers without an owner, such as those to visitors. 0 keeps them."""

    web_search_url: SecretStr = SecretStr("")
    """Web search for answers: https://search.example.org/search (SearXNG), brave://KEY or tavily://KEY."""

    @field_validator("web_search_url")
    @classmethod
    def _check_web_search_url(cls, value: SecretStr) -> SecretStr:
        if url := value.get_secret_value().strip():
            try:
                parse_web_search_url(url)
            except OperatorError as error:
                raise ValueError(str(error).removeprefix("WEB_SEARCH_URL ")) from None
        return SecretStr(url)

    @property
    def demo_emails(self) -> set[str]:
        return {email.strip().lower() for email in self.llm_demo_accounts.split(",") if email.strip()}
