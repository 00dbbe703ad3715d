from pydantic import Field

from opportune.hosts import shutdown_seconds
from opportune.settings import BaseSettings

SPARED_SECONDS = 2.0
"""Seconds of the host's time that are left for handing over, and for what closes the database."""


class AnswersSettings(BaseSettings):
    answer_grace_seconds: float | None = Field(default=None, ge=0)
    """Seconds for answers to end after SIGTERM; then another process goes on. Empty: what the host gives, less 2."""
    llm_demo_accounts: str = ""
    """E-mails, with commas, of accounts that anybody may use: there each address counts for itself, as a visitor."""

    @property
    def demo_emails(self) -> set[str]:
        return {each.strip().lower() for each in self.llm_demo_accounts.split(",") if each.strip()}


def grace_seconds(settings: AnswersSettings, *, is_production: bool) -> float:
    """Seconds that answers have to end when the process is told to stop."""
    if settings.answer_grace_seconds is not None:
        return settings.answer_grace_seconds
    return max(0.0, shutdown_seconds() - SPARED_SECONDS) if is_production else 0.0
