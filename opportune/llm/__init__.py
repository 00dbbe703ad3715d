"""Language models: one small interface, any OpenAI-compatible endpoint, a small model on this machine."""

from opportune.llm import libraries
from opportune.llm.fake import FakeProvider
from opportune.llm.local import LocalModel, find_weights
from opportune.llm.openai_compatible import OpenAICompatible
from opportune.llm.provider import Chunk, Done, LLMError, Message, Provider, Timeouts, estimate_tokens
from opportune.settings import Settings

__all__ = [
    "Chunk",
    "Done",
    "FakeProvider",
    "LLMError",
    "Message",
    "Provider",
    "Timeouts",
    "estimate_tokens",
    "make_provider",
    "missing_library",
]


def make_provider(settings: Settings) -> Provider | None:
    """The provider that the settings name, else the local model, else None: then no answer can be had.

    Tests get a script, so that none of them waits for a model.
    """
    limits = Timeouts.of(settings)
    if settings.llm_base_url:
        return OpenAICompatible(settings.llm_base_url, settings.llm_api_key, settings.llm_model, limits)
    if settings.environment == "test":
        return FakeProvider("A scripted answer.")
    weights = find_weights()
    return LocalModel(weights, limits) if weights else None


def missing_library(settings: Settings) -> str:
    """A line for whoever runs the site, if the local model would answer and lacks a library of the system."""
    return libraries.missing_library() if isinstance(make_provider(settings), LocalModel) else ""
