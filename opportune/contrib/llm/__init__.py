"""Language models: one interface for OpenAI-compatible endpoints, a local model and custom providers."""

from opportune.config.llm_models import MAX_MODEL_NAME_LENGTH, EmbeddingModel, LlmModel
from opportune.contrib.llm.attachments import (
    MAX_ATTACHMENTS,
    Attachment,
    AttachmentRefused,
    as_data,
    attach,
    read_attachment,
    require_sight,
)
from opportune.contrib.llm.call_guard import SpendingRefused
from opportune.contrib.llm.dependencies import Llm, open_llm
from opportune.contrib.llm.embeddings.embedder import Embedded, Embedder
from opportune.contrib.llm.language_model import LanguageModel
from opportune.contrib.llm.media.provider import FakeMedia, Made, MediaModel, MediaProvider, Ranked, Speech
from opportune.contrib.llm.providers.error_reader import error_for_status
from opportune.contrib.llm.providers.factory import make_provider, missing_library, models_of
from opportune.contrib.llm.providers.fake import FakeProvider
from opportune.contrib.llm.providers.provider import (
    Chunk,
    Done,
    ErrorCode,
    LlmError,
    Message,
    Picture,
    Provider,
    Reasoning,
    Timeouts,
    ToolCall,
    ToolSchema,
    estimate_tokens,
)

__all__ = [
    "MAX_ATTACHMENTS",
    "MAX_MODEL_NAME_LENGTH",
    "Attachment",
    "AttachmentRefused",
    "Chunk",
    "Done",
    "Embedded",
    "Embedder",
    "EmbeddingModel",
    "ErrorCode",
    "FakeMedia",
    "FakeProvider",
    "LanguageModel",
    "Llm",
    "LlmError",
    "LlmModel",
    "Made",
    "MediaModel",
    "MediaProvider",
    "Message",
    "Picture",
    "Provider",
    "Ranked",
    "Reasoning",
    "Speech",
    "SpendingRefused",
    "Timeouts",
    "ToolCall",
    "ToolSchema",
    "as_data",
    "attach",
    "error_for_status",
    "estimate_tokens",
    "make_provider",
    "missing_library",
    "models_of",
    "open_llm",
    "read_attachment",
    "require_sight",
]
