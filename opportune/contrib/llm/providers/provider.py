"""Interface of language model providers, with the messages and chunks they exchange."""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import dropwhile
from typing import Any, Literal, NamedTuple, Self

from pydantic import Base64Bytes

from opportune.config.settings import Settings
from opportune.errors import ServiceError
from opportune.i18n import gettext_lazy as _l

Role = Literal["system", "user", "assistant", "tool"]
ConnectionCode = Literal["refused", "timeout", "interrupted", "malformed", "unavailable"]
EndpointCode = Literal["unauthorised", "rate_limited", "busy", "rejected", "not_configured"]
ModelCode = Literal["empty", "out_of_tokens", "context_too_long", "filtered"]
SiteCode = Literal["limit_reached", "switched_off", "inactive", "time_limit", "cost_limit"]
ErrorCode = Literal[ConnectionCode, EndpointCode, ModelCode, SiteCode]

# A retry fails again until the settings or the question change.
PERMANENT_CODES: tuple[ErrorCode, ...] = ("unauthorised", "rejected", "not_configured", "context_too_long", "filtered")

PICTURE_TOKENS = 1_600
"""Upper estimate for one picture of the maximum size."""
UNPROXIED = ("http://127.", "http://localhost")
"""Beginnings of URLs on this machine, which proxies cannot reach."""
UNSEEN_PICTURE = "[There was a picture here, which you cannot see. Say so if it matters.]"

CONTINUE = "Continue exactly where your answer stopped. Do not repeat any of it, and do not comment on this."
"""Question after an unfinished answer, for models that cannot continue an assistant turn."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function call that the model requests.

    Attributes:
        id: Identifier that the tool message with the result repeats.
        name: Name of the function.
        arguments: Arguments as written by the model. Should be a JSON object, but may be invalid.
        returned: Fields that the endpoint needs back with this call, and where they came from.
    """

    id: str
    name: str
    arguments: str
    returned: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in a message.

    Attributes:
        content: Bytes of the picture; empty if it is loaded from the storage when the message is sent.
        content_type: Media type of the content.
        stored_as: Name of the file in the storage.
    """

    content: Base64Bytes = field(default=b"", repr=False)
    content_type: str = "image/jpeg"
    stored_as: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: Author of the turn.
        content: Text of the turn.
        tool_calls: Calls requested at the end of an assistant turn.
        tool_call_id: Call that a tool turn is the result of.
        pictures: Pictures of a user turn. Models without vision get a placeholder text.
        returned: Fields that the endpoint needs back with an assistant turn without calls.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    pictures: tuple[Picture, ...] = ()
    returned: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """Description of a function that the model may call.

    Attributes:
        name: Name of the function.
        description: Purpose, for the model.
        parameters: JSON Schema of an object with the arguments.
    """

    name: str
    description: str
    parameters: Mapping[str, object]


class Reasoning(NamedTuple):
    """A chunk of reasoning that the model writes before or between the parts of its answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The last chunk of a finished answer. Token counts are None if the endpoint does not report them.

    Attributes:
        prompt_tokens: Tokens of the conversation sent to the model.
        completion_tokens: Tokens of the answer, including reasoning.
        truncated: True if a limit ended the answer.
        model: Name of the model that answered. Differs from the requested one if a fallback answered.
        tool_calls: Calls that the model needs before it can continue.
        cached_tokens: Prompt tokens read from the endpoint's cache, which often cost less.
        reasoning_tokens: Completion tokens used for reasoning.
        returned: Fields for `Message.returned` of this answer.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    truncated: bool = False
    model: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    returned: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


Chunk = str | Reasoning | Done
Chunks = AsyncGenerator[Chunk, None]
"""An answer as it arrives. Use it with `contextlib.aclosing`: closing it stops the model."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts of a model call, in seconds.

    Attributes:
        connect: For the connection.
        first: For the first chunk.
        idle: Between two chunks.
        whole: For the whole answer.
    """

    connect: float = 10
    first: float = 60
    idle: float = 60
    whole: float = 600

    @classmethod
    def of(cls, settings: Settings) -> Self:
        first, idle = settings.llm_first_byte_timeout, settings.llm_idle_timeout
        return cls(settings.llm_connect_timeout, first, idle, settings.llm_timeout)


EMPTY = _l("The model gave an empty answer. Try again.")
INTERRUPTED = _l("The answer was interrupted. Try again.")
NOT_A_MODEL = _l("The model's endpoint is not a language model.")
CHECK_URL = "Check LLM_BASE_URL."


class LlmError(ServiceError):
    """A missing or unfinished answer. Pages show the message with status 503 (429 for a limit); commands print it.

    The message is one sentence for the user, without URLs, keys, settings or text of the endpoint.

    Attributes:
        code: Reason, for programs.
        retryable: False if a retry cannot succeed before the settings or the question change.
        retry_after: Seconds to wait before a retry, if known.
        done: Token counts reported before the failure.
        advice: Sentence for operators.
        report: Text of the endpoint, which is never shown.
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
        report: str = "",
    ) -> None:
        super().__init__(sentence)
        self.code: ErrorCode = code
        self.retryable = code not in PERMANENT_CODES
        self.retry_after = retry_after
        self.status = 429 if code == "limit_reached" else 503
        self.done = done
        self.advice = advice
        self.report = report


def not_a_model() -> LlmError:
    return LlmError("malformed", NOT_A_MODEL, advice=CHECK_URL)


class Provider(ABC):
    """A model that answers conversations. Subclass it to connect a model that has no OpenAI-compatible endpoint.

    Attributes:
        name: Name shown to users.
        origin: Identifies endpoint and model. Fields that they need back are only sent to them.
        context_budget: Maximum length of a conversation in tokens, as estimated by `estimate_tokens`.
        fault: Known reason why the model cannot answer and what to do, for operators.
        continues: True if the model continues a final assistant turn instead of replying to it.
        sees_images: True if the model accepts pictures.
        follows_schema: True if `stream` and `stream_with_tools` take `schema`, the JSON Schema of the answer.
        is_toy: True for the bundled model, which only demonstrates the site.
    """

    name: str
    origin: str = ""
    context_budget: int
    fault: str = ""
    continues: bool = False
    sees_images: bool = False
    follows_schema: bool = False
    is_toy: bool = False

    def missing_library(self) -> str:
        """Return which library of the system is missing and how to install it; else an empty string."""
        return ""

    async def setup(self) -> None:
        """Prepare for the first question, which would otherwise wait for it. Safe to call repeatedly."""

    async def close(self) -> None:
        """Close connections and end processes."""

    @abstractmethod
    def stream(self, messages: Sequence[Message], *, temperature: float | None = None) -> Chunks:
        """Yield text and `Reasoning` as they arrive, then one `Done`.

        Use it with `contextlib.aclosing`: closing the generator disconnects, which stops the model.

        Args:
            messages: The conversation.
            temperature: 0 for the most likely answer, up to 2. None for the model's default.

        Raises:
            LlmError: The answer failed; no `Done` follows.
        """

    def stream_with_tools(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], *, temperature: float | None = None
    ) -> Chunks:
        """Like `stream`, but the model may request calls of these tools in `Done.tool_calls`.

        The default is for models without tools and ignores them.
        """
        del tools
        return self.stream(messages) if temperature is None else self.stream(messages, temperature=temperature)


class Embedded(NamedTuple):
    """Embeddings of a batch of texts.

    Attributes:
        vectors: One vector per text, in the same order.
        prompt_tokens: Tokens used, if known.
    """

    vectors: Sequence[Sequence[float]]
    prompt_tokens: int | None = None


class Embedder(ABC):
    """Base class of embedders. A project's class is created with the settings and the `EmbeddingModel`."""

    @abstractmethod
    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return the embeddings of a batch of at most 64 short texts.

        Raises:
            LlmError: The embeddings could not be computed.
        """

    async def close(self) -> None:
        """Close connections."""


def without_pictures(message: Message) -> Message:
    """Replace pictures by a placeholder text, for models without vision."""
    if not message.pictures:
        return message
    content = "\n\n".join(filter(None, (message.content, *[UNSEEN_PICTURE] * len(message.pictures))))
    return replace(message, content=content, pictures=())


def estimate_tokens(value: str | Message) -> int:
    """Estimate the tokens of a text or a message: one per four bytes, which is typical of English."""
    if isinstance(value, Message):
        returned = [value.returned, *(call.returned for call in value.tool_calls)]
        texts = [value.content, *(call.arguments for call in value.tool_calls), *map(repr, filter(None, returned))]
        return sum(map(estimate_tokens, texts)) + PICTURE_TOKENS * len(value.pictures)
    return -(-len(value.encode(errors="replace")) // 4)


def fitting_turns(turns: Sequence[Message], budget: int) -> list[Message]:
    """Return the newest turns that fit into a number of tokens, beginning with a question."""
    first = len(turns)
    while first and (budget := budget - estimate_tokens(turns[first - 1])) >= 0:
        first -= 1
    return [*dropwhile(lambda turn: turn.role != "user", turns[first:])]


def estimate_prompt_tokens(messages: Sequence[Message], tools: Sequence[ToolSchema]) -> int:
    """Estimate the tokens of a conversation and its tools."""
    return sum(map(estimate_tokens, messages)) + sum(estimate_tokens(json.dumps(asdict(tool))) for tool in tools)
