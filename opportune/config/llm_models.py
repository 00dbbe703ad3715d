"""Declarations of language models and embedding models in the settings."""

import json
import re
from decimal import Decimal
from math import ceil
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from opportune.config.host_names import is_http_url
from opportune.config.pasted_values import key_without_scheme

MAX_EMBEDDED_CHARS = 4_000
"""Characters of a text that are embedded."""
TOKENS_PER_PRICE = 1_000_000
MICRO_PER_UNIT = 1_000_000
"""Costs are stored in millionths of the currency."""
MAX_MODEL_NAME_LENGTH = 100


def read_json_list(value: object, example: str) -> object:
    """Return the list in a setting, which is a list or JSON. The message about invalid JSON has the example."""
    if not isinstance(value, str):
        return value
    try:
        return TypeAdapter(list[Any]).validate_json(value or "[]")
    except ValidationError:
        raise ValueError(f"must be a JSON list such as [{example}]") from None


def read_model(value: object, example: str) -> object:
    """Return the fields of a model in a setting, which is a name or JSON. None if it is empty."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("{"):
        return {"name": value.strip()} if value.strip() else None
    try:
        return TypeAdapter(dict[str, Any]).validate_json(value)
    except ValidationError:
        raise ValueError(f'must be a name, or JSON such as {{"name": "{example}"}}') from None


def _check_http_url(value: str) -> str:
    if value and not is_http_url(value):
        raise ValueError("must be a URL such as https://openrouter.ai/api/v1")
    return value


EndpointUrl = Annotated[str, AfterValidator(_check_http_url)]
"""URL of an OpenAI-compatible endpoint; may be empty."""

RESERVED_PARAMETERS = frozenset({"messages", "model", "stream", "tools"})
"""Parameters of a request that the framework sets, so `extra_body` may not contain them."""
RESERVED_HEADERS = ("accept", "accept-encoding", "content-length", "content-type", "host", "transfer-encoding")
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _check_extra_body(value: dict[str, Any]) -> dict[str, Any]:
    if names := sorted(RESERVED_PARAMETERS & value.keys()):
        raise ValueError(f"extra_body may not contain {' or '.join(names)}")
    return value


def _check_header_name(name: str) -> str:
    if not HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid header")
    if name.lower() in RESERVED_HEADERS:
        raise ValueError(f"headers may not contain {name}")
    return name


def _check_header_value(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise ValueError("must be one line of ASCII characters")
    return value


HeaderName = Annotated[str, AfterValidator(_check_header_name)]
"""Header of each request to an endpoint, without those that the HTTP client sets."""


Dialect = Literal["openai", "openai-responses", "anthropic", "google", "bedrock"]
"""Protocol of an endpoint. `openai` is chat completions, which most vendors and local servers speak."""
VENDOR_URLS = {
    "openai-responses": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
}
"""Default `base_url` by dialect."""
VENDOR_EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
"""Words for `reasoning_effort` of all dialects but `openai`, whose endpoints have their own."""
BEDROCK_URL = "such as https://bedrock-runtime.eu-central-1.amazonaws.com"


class LlmModel(BaseModel):
    """A language model: its name, endpoint, abilities and prices.

    Users and code select it by name. `base_url` and `api_key` default to LLM_BASE_URL and LLM_API_KEY.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=MAX_MODEL_NAME_LENGTH)
    model: str = ""
    """Name at the endpoint, if it differs from `name`."""
    base_url: EndpointUrl = Field(default="", repr=False)
    """An OpenAI-compatible endpoint (https://api.mistral.ai/v1, http://127.0.0.1:11434/v1)."""
    dialect: Dialect = "openai"
    """Protocol of the endpoint. All but `openai` need the packages of `oppman.py install llm-vendors`."""
    api_key: Annotated[SecretStr, BeforeValidator(key_without_scheme)] = SecretStr("")
    api_key_setting: str = ""
    """Name of the setting with the key, such as `mistral_api_key` in `app/settings.py`."""
    provider: str = ""
    """`module:Class` of a `Provider` in the project, for another protocol. It is called with settings and model."""
    context_tokens: int = Field(default=12_288, ge=256)
    """Maximum tokens of conversation and answer together."""
    max_answer_tokens: int = Field(default=4_096, ge=1)
    price_per_million_prompt_tokens: Decimal = Field(default=Decimal(0), ge=0)
    """In the currency of the site's limits; 0 for a free model."""
    price_per_million_answer_tokens: Decimal = Field(default=Decimal(0), ge=0)
    price_per_million_cached_tokens: Decimal | None = Field(default=None, ge=0)
    """Price of prompt tokens that the endpoint reports as cached. None means the normal price."""
    sees_images: bool = False
    calls_tools: bool = False
    continues: bool = False
    """Whether the model continues an unfinished assistant message. Answers then survive restarts."""
    fallback: str = ""
    """Name of the model that is used if this one does not respond."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus sampling: cumulative probability of the tokens to choose from. None means the endpoint's default."""
    reasoning_effort: str = Field(default="", max_length=20)
    """How much a reasoning model thinks: `minimal`, `low`, `medium`, `high`, or another word of its endpoint."""
    extra_body: Annotated[dict[str, Any], AfterValidator(_check_extra_body)] = {}
    """More parameters of each request, as the endpoint names them: `{"safe_prompt": true}`."""
    headers: dict[HeaderName, Annotated[str, AfterValidator(_check_header_value)]] = Field(default={}, repr=False)
    """More headers of each request. They may contain a key, so they are never shown."""

    def __str__(self) -> str:
        return self.name

    @model_validator(mode="after")
    def _check_token_limits(self) -> "LlmModel":
        if self.max_answer_tokens >= self.context_tokens:
            raise ValueError("max_answer_tokens leaves no room in context_tokens for a question")
        return self

    @model_validator(mode="after")
    def _check_dialect(self) -> "LlmModel":
        if self.dialect == "openai":
            return self
        if self.continues:
            raise ValueError(f"the dialect {self.dialect} cannot continue an unfinished text: remove continues")
        if self.reasoning_effort not in ("", *VENDOR_EFFORTS):
            raise ValueError(f"reasoning_effort must be one of {', '.join(VENDOR_EFFORTS)}")
        return self

    @property
    def endpoint_name(self) -> str:
        return self.model or self.name

    @property
    def parameters(self) -> dict[str, Any]:
        """Request parameters in addition to the conversation."""
        named = {"top_p": self.top_p, "reasoning_effort": self.reasoning_effort or None}
        return {name: value for name, value in named.items() if value is not None} | self.extra_body

    @property
    def max_prompt_tokens(self) -> int:
        return self.context_tokens - self.max_answer_tokens

    def cost_micro(self, prompt_tokens: int, answer_tokens: int, cached_tokens: int = 0) -> int:
        """Return the price of an answer in millionths of the currency, rounded up.

        `cached_tokens` are part of `prompt_tokens`.
        """
        price = self.price_per_million_prompt_tokens
        cached_price = self.price_per_million_cached_tokens
        cached = min(cached_tokens, prompt_tokens)
        prompt = (prompt_tokens - cached) * price + cached * (price if cached_price is None else cached_price)
        total = prompt + answer_tokens * self.price_per_million_answer_tokens
        return ceil(total * MICRO_PER_UNIT / TOKENS_PER_PRICE)

    @property
    def has_price(self) -> bool:
        return bool(self.price_per_million_prompt_tokens or self.price_per_million_answer_tokens)


class EmbeddingModel(LlmModel):
    """A model for embeddings, for semantic search.

    Its endpoint is `base_url` + /embeddings, as at OpenAI. `provider` is `module:Class` of the project's `Embedder`.
    """

    dialect: Literal["openai"] = "openai"
    context_tokens: int = Field(default=2_048, ge=256)
    """Maximum tokens of a text. Longer texts are cut."""
    max_answer_tokens: int = 1
    """Unused."""
    dimensions: int | None = Field(default=None, ge=8)
    """Length of the vectors, if the model can shorten them as OpenAI's can. Shorter vectors make the index smaller."""
    query_prefix: str = ""
    """Prefix of queries: `search_query: ` for nomic-embed-text, `query: ` for E5."""
    document_prefix: str = ""
    """Prefix of indexed texts: `search_document: `, `passage: `."""
    min_similarity: float = Field(default=0.3, ge=0, le=1)
    """Minimum cosine similarity of query and text for a match, up to 1."""

    @property
    def made_of(self) -> str:
        """Identity of the vector space. Only vectors of the same space can be compared."""
        return json.dumps([self.endpoint_name, self.dimensions, self.query_prefix, self.document_prefix])

    def as_made_of(self, made_of: str) -> "EmbeddingModel":
        """Return the model that made stored vectors, at the same endpoint."""
        if made_of == self.made_of:
            return self
        names = ("model", "dimensions", "query_prefix", "document_prefix")
        return self.model_copy(update=dict(zip(names, json.loads(made_of), strict=True)))

    def cut(self, text: str) -> str:
        return text[: min(MAX_EMBEDDED_CHARS, 3 * self.context_tokens)]


def find_list_error(models: "list[LlmModel]") -> str | None:
    """Return an error in the list of models, such as a repeated name. None if the list is valid."""
    names = [model.name for model in models]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        return f"{repeated} is listed twice"
    for model in models:
        if model.fallback and (model.fallback == model.name or model.fallback not in names):
            return f"the fallback of {model.name} must be another listed model: {', '.join(names)}"
    return None
