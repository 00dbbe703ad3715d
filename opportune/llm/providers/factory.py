"""Makes the models that the settings name. What each kind needs is imported for it alone: most sites ask nobody."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from opportune.config.llm_models import MAX_MODEL_NAME_LENGTH, EmbeddingModel, LlmModel
from opportune.config.settings import Settings, has_value
from opportune.errors import OperatorError
from opportune.llm.embeddings.embedder import OpenAIEmbedder
from opportune.llm.providers import libraries, local
from opportune.llm.providers.fake import FakeProvider
from opportune.llm.providers.local import LocalModel
from opportune.llm.providers.local_process import shared_folder
from opportune.llm.providers.openai_compatible import OpenAICompatible
from opportune.llm.providers.provider import Provider, Timeouts

if TYPE_CHECKING:
    from opportune.llm.embeddings.embedder import Embedder


def models_of(settings: Settings) -> list[LlmModel]:
    """The models that the settings name, each with its address and key; the first is asked by whoever chooses none.

    LLM_BASE_URL without LLM_MODELS is a table of one. Without either there is none.
    """
    if settings.llm_models:
        return [_whole(model, settings) for model in settings.llm_models]
    if not settings.llm_base_url:
        return []
    name = settings.llm_model or urlsplit(settings.llm_base_url).hostname or "the model"
    return [_whole(LlmModel(name=name[:MAX_MODEL_NAME_LENGTH]), settings)]


M = TypeVar("M", bound=LlmModel)


def _whole(model: M, settings: Settings) -> M:
    known: dict[str, object] = {}
    if not (model.base_url or model.provider):
        # LLM_API_KEY goes to LLM_BASE_URL alone: another endpoint must not learn it.
        known = {"base_url": settings.llm_base_url, "api_key": settings.llm_api_key}
    if has_value(model.api_key):
        known["api_key"] = model.api_key
    if model.api_key_setting:
        known["api_key"] = getattr(settings, model.api_key_setting)
    return model.model_copy(update=known)


def make_provider(settings: Settings, model: LlmModel | None = None) -> Provider | None:
    """The provider of a model; without one, of the first that the settings name, else the local one, else None.

    Tests get a script, so that none of them waits for a model.

    Raises:
        OperatorError: LLM_MODELS names a provider that is not there.
    """
    model = model or next(iter(models_of(settings)), None)
    if model:
        own: Provider | None = _make_own(settings, model) if model.provider else None
        return own or _make_compatible(settings, model)
    if settings.environment == "test":
        return FakeProvider("A scripted answer.")
    weights = local.find_weights()
    return local.LocalModel(weights, Timeouts.of(settings), shared_folder(weights)) if weights else None


def _make_compatible(settings: Settings, model: LlmModel) -> Provider:
    provider = OpenAICompatible(
        *(model.base_url, model.api_key, _name_at_endpoint(settings, model), Timeouts.of(settings)),
        context_budget=model.max_prompt_tokens,
        max_tokens=model.max_answer_tokens,
    )
    provider.name, provider.continues = model.name, model.continues
    provider.sees_images = model.sees_images
    provider.headers, provider.parameters = model.headers, model.parameters
    return provider


def _name_at_endpoint(settings: Settings, model: LlmModel) -> str:
    """Without LLM_MODEL none is sent: some endpoints have one alone."""
    return model.model or (model.name if settings.llm_models else settings.llm_model)


def _make_own(settings: Settings, model: LlmModel, setting: str = "LLM_MODELS") -> Any:
    module, _, name = model.provider.partition(":")
    try:
        make = getattr(import_module(module), name)
    except (AttributeError, ImportError, ValueError) as error:
        raise OperatorError(f"{setting}: there is no {model.provider} for {model.name} ({error}).") from error
    return make(settings, model)


def embedding_model_of(settings: Settings) -> EmbeddingModel | None:
    """The model for embeddings that the settings name, with its address and key."""
    return _whole(settings.embedding_model, settings) if settings.embedding_model else None


def make_embedder(settings: Settings, model: EmbeddingModel) -> "Embedder":
    """Who makes the embeddings of a model.

    Raises:
        OperatorError: EMBEDDING_MODEL names a provider that is not there.
    """
    if model.provider:
        own: Embedder = _make_own(settings, model, "EMBEDDING_MODEL")
        return own
    return OpenAIEmbedder(model, Timeouts.of(settings))


def missing_library(settings: Settings) -> str:
    """A line for whoever runs the site, if the local model would answer and lacks a library of the system."""
    return libraries.missing_library() if isinstance(make_provider(settings), LocalModel) else ""
