"""Makes the model that the settings name. What each kind needs is imported for it alone: most sites ask nobody."""

from importlib import import_module

from opportune.errors import OperatorError
from opportune.llm import libraries
from opportune.llm.fake import FakeProvider
from opportune.llm.provider import Provider, Timeouts
from opportune.settings import Settings


def make_provider(settings: Settings) -> Provider | None:
    """The provider that the settings name, else the local model, else None: then no answer can be had.

    Tests get a script, so that none of them waits for a model.

    Raises:
        OperatorError: LLM_PROVIDER names none.
    """
    if settings.llm_provider:
        return _make_own(settings)
    limits = Timeouts.of(settings)
    if settings.llm_base_url:
        from opportune.llm.openai_compatible import OpenAICompatible  # noqa: PLC0415 - see above

        return OpenAICompatible(settings.llm_base_url, settings.llm_api_key, settings.llm_model, limits)
    if settings.environment == "test":
        return FakeProvider("A scripted answer.")
    from opportune.llm import local  # noqa: PLC0415 - see above
    from opportune.llm.local_process import shared_folder  # noqa: PLC0415

    weights = local.find_weights()
    return local.LocalModel(weights, limits, shared_folder(weights)) if weights else None


def _make_own(settings: Settings) -> Provider:
    module, _, name = settings.llm_provider.partition(":")
    try:
        make = getattr(import_module(module), name)
    except (AttributeError, ImportError, ValueError) as error:
        raise OperatorError(f"LLM_PROVIDER: there is no {settings.llm_provider} ({error}).") from error
    provider: Provider = make(settings)
    return provider


def missing_library(settings: Settings) -> str:
    """A line for whoever runs the site, if the local model would answer and lacks a library of the system."""
    from opportune.llm.local import LocalModel  # noqa: PLC0415 - see above

    return libraries.missing_library() if isinstance(make_provider(settings), LocalModel) else ""
