"""Who pays for a call of a model, what it has come to, and the interface of what counts and limits that.

`Feature(llm_guard=…)` makes one for the site; a model without a guard answers whoever asks.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from opportune.config.settings import Settings
from opportune.llm.providers.provider import Chunk, LLMError, Message, ToolSchema, estimate_prompt_tokens

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from opportune.config.llm_models import LlmModel
    from opportune.db import Database

MAX_TOLD_TOKENS = 10**9
"""Tokens of one call, at most: a broken endpoint may tell anything."""


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose tokens are used: a person's, a visitor's, or the site's own."""

    kind: Literal["user", "visitor", "site"] = "site"
    key: str = ""
    """The user's id, or what stands for a visitor's address."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}" if self.key else self.kind

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str` gave; anything else is the site."""
        kind, _, key = text.partition(":")
        return cls(kind, key) if kind in ("user", "visitor") and key else cls()  # type: ignore[arg-type]

    @classmethod
    def of_user(cls, user_id: int | None) -> Self:
        """A person; without one, the site."""
        return cls("user", str(user_id)) if user_id is not None else cls()

    @property
    def user_id(self) -> int | None:
        return int(self.key) if self.kind == "user" else None


SITE = Payer()


@dataclass(slots=True)
class TokenUsage:
    """Tokens of calls, and what they cost in millionths of the currency."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated_tokens: int = 0
    """Those of them that nobody has told us."""
    cost_micro: int = 0

    def add(self, other: Self) -> None:
        for name, number in asdict(other).items():
            setattr(self, name, getattr(self, name) + number)


@dataclass(frozen=True, slots=True)
class GuardedCall:
    """A call of a model, before it has begun."""

    name: str
    """The model's, as people know it."""
    model: "LlmModel | None"
    """None of the local one."""
    messages: Sequence[Message]
    tools: Sequence[ToolSchema]
    payer: Payer
    chunks: AsyncGenerator[Chunk, None] = field(repr=False)
    """The answer, which is asked for when this is first read."""
    usage: TokenUsage | None = None
    """What is added to when it has ended."""

    @property
    def prompt_tokens(self) -> int:
        """An estimate."""
        return estimate_prompt_tokens(self.messages, self.tools)


class SpendingRefused(LLMError):
    """Nobody is asked, or no further: a limit is reached, or answers are switched off. No other model is tried."""


class CallGuard(ABC):
    """Counts the calls of models, and refuses those that are too many."""

    @abstractmethod
    def payer_of(self, request: Any) -> Payer:
        """Whose tokens a request uses."""

    @abstractmethod
    async def check(
        self, session: "AsyncSession", payer: Payer, model: "LlmModel | None", prompt_tokens: int = 0
    ) -> None:
        """Look whether somebody may ask a model, before anything is stored for it.

        Raises:
            SpendingRefused: not now.
        """

    @abstractmethod
    async def allowance(self, session: "AsyncSession", payer: Payer, model: "LlmModel | None" = None) -> str:
        """A sentence for whoever is about to ask: what keeps them from it, or that most is used; else empty."""

    @abstractmethod
    def watch(self, call: GuardedCall) -> AsyncGenerator[Chunk, None]:
        """The answer of a call, which is counted however it ends.

        Raises:
            SpendingRefused: before it begins, or in the midst of it.
        """

    async def chosen_model(self) -> "LlmModel | None":
        """The model that somebody has chosen for the site, for where its settings name none."""
        return None

    @abstractmethod
    async def close(self) -> None:
        """Write down what is not yet stored."""


def guard_of(features: Iterable[Any], settings: Settings, database: "Database") -> CallGuard | None:
    """What these features have to count and limit the calls of models; None where none of them does."""
    make = next((feature.llm_guard for feature in features if feature.llm_guard), None)
    return make(settings, database) if make else None
