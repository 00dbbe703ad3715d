"""Checks and conversions of the settings of language models."""

from typing import Self

from pydantic import SecretStr, field_validator, model_validator

from opportune.config.llm_models import BEDROCK_URL, VENDOR_URLS, LlmModel, find_list_error, read_json_list, read_model
from opportune.config.site_settings import SiteSettings
from opportune.project.layout import PACKAGE


class LlmSettingsChecks(SiteSettings):
    """The site's settings with the checks of those of language models."""

    @field_validator("llm_models", mode="before")
    @classmethod
    def _parse_models(cls, value: object) -> object:
        return read_json_list(value, example='{"name": "Fast", "model": "openai/gpt-5-mini"}')

    @field_validator("embedding_model", mode="before")
    @classmethod
    def _parse_embedding_model(cls, value: object) -> object:
        return read_model(value, example="nomic-embed-text")

    @model_validator(mode="after")
    def _check_models(self) -> Self:
        if problem := find_list_error(self.llm_models):
            raise ValueError(f"LLM_MODELS: {problem}")
        for model in self.llm_models:
            self._check_model("LLM_MODELS", model)
        if self.embedding_model:
            self._check_model("EMBEDDING_MODEL", self.embedding_model)
        return self

    def _check_model(self, setting: str, model: LlmModel) -> None:
        if model.api_key_setting and not isinstance(getattr(self, model.api_key_setting, None), SecretStr):
            raise ValueError(
                f"{setting}: there is no setting {model.api_key_setting} with the key of {model.name}: "
                f'in {PACKAGE}/settings.py write {model.api_key_setting}: SecretStr = SecretStr("")'
            )
        if model.dialect == "bedrock" and not model.base_url.startswith("https:"):
            raise ValueError(f"{setting}: {model.name} needs the base_url of a region, {BEDROCK_URL}")
        if not (model.base_url or model.provider or model.dialect in VENDOR_URLS or self.llm_base_url):
            raise ValueError(f"{setting}: {model.name} needs a base_url, or set LLM_BASE_URL for all models")

    @model_validator(mode="after")
    def _check_dialect(self) -> Self:
        if self.llm_dialect != "openai" and not (self.llm_models or self.llm_model):
            raise ValueError(f"LLM_DIALECT={self.llm_dialect} needs LLM_MODEL")
        if self.llm_dialect == "bedrock" and not self.llm_base_url.startswith("https:"):
            raise ValueError(f"LLM_DIALECT=bedrock needs the LLM_BASE_URL of a region, {BEDROCK_URL}")
        return self
