"""The interface of language models, whoever runs them."""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, Self

from pydantic import Base64Bytes

from opportune.config.settings import Settings
from opportune.errors import ServiceError

Role = Literal["system", "user", "assistant", "tool"]
ErrorCode = Literal[
    "refused",
    "unauthorised",
    "rate_limited",
    "busy",
    "rejected",
    "timeout",
    "interrupted",
    "malformed",
    "empty",
    "out_of_tokens",
    "unavailable",
    "not_configured",
    "limit_reached",
    "switched_off",
]

# Asking again changes nothing until somebody changes the settings or the question.
PERMANENT_CODES: frozenset[ErrorCode] = frozenset({"unauthorised", "rejected", "not_configured"})


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a function called, of which it waits for the result."""

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it: it may be none."""


PICTURE_TOKENS = 1_600
"""What the hungriest of models take a picture of the largest size for that they look at."""
UNSEEN_PICTURE = "[A picture stood here, which you cannot see. Say so if it matters.]"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in a turn: its content, or the name by which the storage has it until it is sent."""

    content: Base64Bytes = field(default=b"", repr=False)
    content_type: str = "image/jpeg"
    stored_as: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, as a model reads it."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    """What an assistant's turn ended with."""
    tool_call_id: str = ""
    """Whose result a tool's turn is."""
    pictures: tuple[Picture, ...] = ()
    """What a person shows besides; a model that does not see is told that there was something."""


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A function that a model may have called, as it is told of it."""

    name: str
    description: str
    parameters: Mapping[str, object]
    """JSON Schema of an object."""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A chunk of what a model thinks before or between the parts of its answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The last chunk of a finished answer. Counts are None if the endpoint does not report them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    """Tokens of the answer and of the reasoning."""
    truncated: bool = False
    """A limit ended the answer, not the model."""
    model: str = ""
    """The name of the model that answered: another than was asked, where that one could not begin."""
    tool_calls: tuple[ToolCall, ...] = ()
    """What it wants to know before it goes on."""
    cached_tokens: int | None = None
    """Those of the prompt that the endpoint had read before, which often cost less."""
    reasoning_tokens: int | None = None
    """Those of the completion that went into reasoning."""


Chunk = str | Reasoning | Done


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait: for a connection, for the first chunk, between two chunks, for the whole answer."""

    connect: float = 10
    first: float = 60
    idle: float = 60
    whole: float = 600

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            connect=settings.llm_connect_timeout,
            first=settings.llm_first_byte_timeout,
            idle=settings.llm_idle_timeout,
            whole=settings.llm_timeout,
        )


EMPTY = "The model gave an empty answer. Try again."


class LLMError(ServiceError):
    """A missing or unfinished answer: pages show the message with a status of 503, commands print it.

    The message is one sentence for the user. It contains no address, no key, no setting and no text of the endpoint.
    """

    service = "the language model"

    def __init__(
        self,
        code: ErrorCode,
        sentence: str,
        retry_after: float | None = None,
        *,
        done: Done | None = None,
        advice: str = "",
    ) -> None:
        """`done`: token counts that the endpoint reported before the failure; `advice`: a sentence for operators."""
        super().__init__(sentence)
        self.code: ErrorCode = code
        self.retryable = code not in PERMANENT_CODES
        self.retry_after = retry_after
        self.status = 429 if code == "limit_reached" else 503
        self.done = done
        self.advice = advice


class Provider(ABC):
    """A model that answers conversations."""

    name: str
    """What people are shown."""
    context_budget: int
    """Tokens of conversation, by `tokens()`, that are worth sending."""
    fault: str = ""
    """Why it cannot answer, as far as it knows, and what to do: a line for whoever runs the site."""
    continues: bool = False
    """Whether it goes on with a last turn of the assistant's, word for word, where others would answer to it."""
    sees_images: bool = False
    """Whether it is sent the pictures of a turn."""
    is_toy: bool = False
    """Whether it only shows how everything works, until a site has a real model."""

    async def setup(self) -> None:
        """Get ready ahead of the first question. `stream` does it too; calling it again costs nothing."""

    async def close(self) -> None:
        """Close connections and end processes."""

    @abstractmethod
    def stream(self, messages: Sequence[Message], *, temperature: float | None = None) -> AsyncGenerator[Chunk, None]:
        """Yield the answer's text and `Reasoning` as they come, then one `Done`.

        `temperature` is 0 for what is likeliest, up to 2; None is the model's own, and then it is not given.

        Hold it in `contextlib.aclosing`: closing it hangs up at once, which is what stops the model.

        Raises:
            LLMError: instead of the `Done`.
        """

    def stream_with_tools(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], *, temperature: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """The same where the model may want functions called, and tells which by the `tool_calls` of its `Done`.

        Models that cannot are asked without.
        """
        del tools
        return self.stream(messages) if temperature is None else self.stream(messages, temperature=temperature)


def without_pictures(message: Message) -> Message:
    """A turn for who cannot see: words stand for its pictures."""
    if not message.pictures:
        return message
    words = "\n\n".join(filter(None, (message.content, *[UNSEEN_PICTURE] * len(message.pictures))))
    return replace(message, content=words, pictures=())


def estimate_tokens(asked: str | Message) -> int:
    """Estimate how many tokens a text or a turn takes: four bytes each, which is four characters of English."""
    if isinstance(asked, Message):
        return estimate_tokens(asked.content) + PICTURE_TOKENS * len(asked.pictures)
    return -(-len(asked.encode(errors="replace")) // 4)


def estimate_prompt_tokens(messages: Sequence[Message], tools: Sequence[ToolSchema]) -> int:
    """Estimate how many tokens a conversation takes, with the tools that are offered."""
    turns = sum(map(estimate_tokens, messages))
    calls = sum(estimate_tokens(call.arguments) for message in messages for call in message.tool_calls)
    return turns + calls + sum(estimate_tokens(json.dumps(asdict(tool))) for tool in tools)
