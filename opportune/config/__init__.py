"""Settings, secrets and the project's location. Lazy, since `oppman.py` runs before anything is installed."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opportune.config.llm_models import EmbeddingModel, LlmModel
    from opportune.config.project import PROJECT, installed_features
    from opportune.config.settings import BaseSettings, Settings, get_settings
    from opportune.config.signing import derived_key, derived_keys, seal, signer, unseal

__all__ = [
    "PROJECT",
    "BaseSettings",
    "EmbeddingModel",
    "LlmModel",
    "Settings",
    "derived_key",
    "derived_keys",
    "get_settings",
    "installed_features",
    "seal",
    "signer",
    "unseal",
]

_MODULES = {
    "BaseSettings": "settings",
    "EmbeddingModel": "llm_models",
    "LlmModel": "llm_models",
    "PROJECT": "project",
    "Settings": "settings",
    "derived_key": "signing",
    "derived_keys": "signing",
    "get_settings": "settings",
    "installed_features": "project",
    "seal": "signing",
    "signer": "signing",
    "unseal": "signing",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
