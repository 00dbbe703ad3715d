"""Settings, secrets and the project's location. Lazy, since `oppman.py` runs before anything is installed."""

from typing import TYPE_CHECKING

from opportune.runtime.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from opportune.config.base_settings import BaseSettings
    from opportune.config.llm_models import EmbeddingModel, LlmModel
    from opportune.config.project import PROJECT, installed_features
    from opportune.config.settings import Settings, get_settings
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

__getattr__ = lazy_exports(
    __name__,
    {
        ".base_settings": ("BaseSettings",),
        ".settings": ("Settings", "get_settings"),
        ".llm_models": ("EmbeddingModel", "LlmModel"),
        ".project": ("PROJECT", "installed_features"),
        ".signing": ("derived_key", "derived_keys", "seal", "signer", "unseal"),
    },
)
