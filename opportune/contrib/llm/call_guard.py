"""Interface of the guard that counts and limits calls of models, with their payers.

`Llm(guard=…)` of a feature creates the guard of the site. Without a guard, calls are neither counted nor limited.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Self

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.llm_models import LlmModel
from opportune.config.settings import Settings
from opportune.contrib.llm.completion.usage import CallMeter
from opportune.contrib.llm.providers.provider import Chunks, LlmError
from opportune.db import Database


@dataclass(frozen=True, slots=True)
class Payer:
    """The user, visitor or site that a call is charged to."""

    kind: Literal["user", "visitor", "site"] = "site"
    key: str = ""
    """Id of the user, or hashed address of the visitor."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}" if self.key else self.kind

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the result of `str`. Anything else is the site."""
        kind, _, key = text.partition(":")
        return cls(kind, key) if kind in ("user", "visitor") and key else cls()  # type: ignore[arg-type]

    @classmethod
    def of_user(cls, user_id: int | None) -> Self:
        """Return the user as payer, or the site if `user_id` is None."""
        return cls("user", str(user_id)) if user_id is not None else cls()

    @property
    def user_id(self) -> int | None:
        return int(self.key) if self.kind == "user" else None


SITE = Payer()


class SpendingRefused(LlmError):
    """Refusal of a call, because a limit is reached or answers are switched off. Fallback models are not tried."""


class CallGuard(ABC):
    """Counts calls of models and refuses those beyond a limit."""

    @abstractmethod
    def payer_of(self, request: Any) -> Payer:
        """Return the user or visitor of a request."""

    @abstractmethod
    async def check(self, session: AsyncSession, payer: Payer, model: LlmModel | None, prompt_tokens: int = 0) -> None:
        """Check the limits, before anything is stored for a question.

        Raises:
            SpendingRefused: The call is not allowed now.
        """

    @abstractmethod
    async def allowance(self, session: AsyncSession, payer: Payer, model: LlmModel | None = None) -> str:
        """Return a notice for the user if a limit is reached or nearly reached; else an empty string."""

    @abstractmethod
    def watch(self, meter: CallMeter, payer: Payer, answer: Chunks) -> Chunks:
        """Yield the answer of a call and count its usage.

        Args:
            meter: Counts the tokens of the call.
            payer: User, visitor or site.
            answer: The answer. Its first iteration sends the request.

        Raises:
            SpendingRefused: The call is not allowed, or was stopped.
        """

    async def chosen_model(self) -> LlmModel | None:
        """Return the model selected in the admin, for sites without a model in their settings."""
        return None

    @abstractmethod
    async def close(self) -> None:
        """Write the collected usage."""


def guard_of(features: Iterable[Any], settings: Settings, database: Database) -> CallGuard | None:
    """Create the guard of the site from the first feature with `Llm(guard=…)`."""
    make = next((feature.llm.guard for feature in features if feature.llm.guard), None)
    return make(settings, database) if make else None
