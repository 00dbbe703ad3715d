"""Language models: one small interface, any OpenAI-compatible endpoint, a small model on this machine."""

from opportune.llm.factory import make_provider, missing_library
from opportune.llm.fake import FakeProvider
from opportune.llm.language_model import LanguageModel, Llm, open_llm
from opportune.llm.provider import Chunk, Done, LLMError, Message, Provider, Timeouts, estimate_tokens

__all__ = [
    "Chunk",
    "Done",
    "FakeProvider",
    "LLMError",
    "LanguageModel",
    "Llm",
    "Message",
    "Provider",
    "Timeouts",
    "estimate_tokens",
    "make_provider",
    "missing_library",
    "open_llm",
]
