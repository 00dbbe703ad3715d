"""Language models: one small interface, any OpenAI-compatible endpoint, a small model on this machine."""

from opportune.llm.errors import error_for_status
from opportune.llm.factory import make_provider, missing_library, models_of
from opportune.llm.fake import FakeProvider
from opportune.llm.language_model import LanguageModel, Llm, open_llm
from opportune.llm.provider import Chunk, Done, LLMError, Message, Provider, Timeouts, estimate_tokens
from opportune.llm_models import LlmModel

__all__ = [
    "Chunk",
    "Done",
    "FakeProvider",
    "LLMError",
    "LanguageModel",
    "Llm",
    "LlmModel",
    "Message",
    "Provider",
    "Timeouts",
    "error_for_status",
    "estimate_tokens",
    "make_provider",
    "missing_library",
    "models_of",
    "open_llm",
]
