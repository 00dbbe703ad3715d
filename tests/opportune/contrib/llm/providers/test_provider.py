"""Creation of providers from the settings, and the entries of LLM_MODELS."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from opportune.application import create_app
from opportune.config.settings import Settings, load_settings
from opportune.contrib.llm import EmbeddingModel, FakeProvider, LlmModel, feature, make_provider, models_of
from opportune.contrib.llm.providers import factory
from opportune.contrib.llm.providers.remote import url_of
from opportune.contrib.llm_local import local
from opportune.errors import OperatorError, SettingsError
from opportune.features import llm

URL, WEIGHTS = "https://llm.example/v1", Path("model.gguf")
ADDRESS = f'"base_url": "{URL}"'


def make_settings(**values: object) -> Settings:
    site_settings = Settings(_env_file=None, environment="development", secret_key=SecretStr("k" * 40))
    return site_settings.model_copy(update=values)


@pytest.mark.parametrize(
    ("weights", "values", "name"),
    [
        (WEIGHTS, {"llm_base_url": URL, "llm_model": "big"}, "big"),
        (WEIGHTS, {"llm_base_url": URL}, "llm.example"),
        (WEIGHTS, {}, "SmolLM2-135M on this machine"),
        (None, {}, ""),
    ],
)
def test_endpoint_precedes_the_local_model(
    weights: Path | None, values: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "find_weights", lambda: weights)
    provider = make_provider(make_settings(**values))
    assert (provider.name if provider else "") == name


class ScriptedProvider(FakeProvider):
    def __init__(self, site_settings: Settings, model: LlmModel) -> None:
        super().__init__(f"{model.name} of {site_settings.site_name}.")


def test_custom_provider_is_used() -> None:
    site_settings = make_settings(llm_models=[LlmModel(name="Words", provider=f"{__name__}:ScriptedProvider")])
    provider = make_provider(site_settings)
    assert isinstance(provider, ScriptedProvider)
    assert provider.script == (f"Words of {site_settings.site_name}.",)


@pytest.mark.parametrize("provider_path", ["app.nowhere:make", f"{__name__}:nothing", "app."])
def test_missing_provider_class_is_one_line(provider_path: str) -> None:
    with pytest.raises(OperatorError, match=rf"^LLM_MODELS: cannot import {re.escape(provider_path)} for Words \("):
        make_provider(make_settings(llm_models=[LlmModel(name="Words", provider=provider_path)]))


def test_site_without_optional_parts_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "installed_features", lambda: [llm])
    monkeypatch.setattr(feature, "installed_names", lambda: ["llm"])
    state = create_app(make_settings(database_url=SecretStr("sqlite:///none.db")), [llm]).state
    assert (state.llm.provider, state.llm.offers("image"), hasattr(state, "llm_embeddings")) == (None, False, False)
    models = {"llm_models": [LlmModel(name="A", dialect="google")], "embedding_model": EmbeddingModel(name="B")}
    advice = [finding.text.partition(". ")[2] for finding in feature.check_llm(make_settings(**models))]
    assert advice == [f"Add `{name}` to app/installed.py." for name in ("llm_vendors", "llm_embeddings")]


@pytest.mark.parametrize(
    ("model", "url", "key"),
    [
        ({"model": "vendor/fast"}, URL, "site"),
        pytest.param({"base_url": "http://127.0.0.1:1/v1"}, "http://127.0.0.1:1/v1", "", id="only for LLM_BASE_URL"),
        ({"base_url": URL, "api_key": "own"}, URL, "own"),
        ({"base_url": URL, "api_key_setting": "llm_api_key"}, URL, "site"),
    ],
)
def test_models_default_to_endpoint_and_key(model: dict[str, object], url: str, key: str) -> None:
    values = {"llm_models": json.dumps([{"name": "Fast", **model}]), "llm_base_url": URL, "llm_api_key": "site"}
    (loaded,) = models_of(load_settings(_env_file=None, environment="test", **values))
    assert (loaded.base_url, loaded.api_key.get_secret_value()) == (url, key)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("Fast", "LLM_MODELS: must be a JSON list such as"),
        ('[{"model": "fast"}]', "LLM_MODELS: entry 1, name: Field required"),
        ('[{"name": "Fast", "base_url": "llm.example"}]', "LLM_MODELS: entry 1, base_url: must be a URL"),
        ('[{"name": "Fast", "dialect": "google", "continues": true}]', "entry 1: the dialect google cannot continue"),
        ('[{"name": "Fast"}]', "LLM_MODELS: Fast needs a base_url, or set LLM_BASE_URL for all models"),
        (f'[{{"name": "Fast", {ADDRESS}}}, {{"name": "Fast", {ADDRESS}}}]', "LLM_MODELS: Fast is listed twice"),
        (f'[{{"name": "Fast", "fallback": "Slow", {ADDRESS}}}]', "the fallback of Fast must be another listed model"),
        (f'[{{"name": "Fast", "api_key_setting": "no_key", {ADDRESS}}}]', "there is no setting no_key with the key"),
        (f'[{{"name": "Fast", "context_tokens": 300, {ADDRESS}}}]', "entry 1: max_answer_tokens leaves no room"),
    ],
)
def test_mistake_in_llm_models_is_one_line(value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)) as caught:
        load_settings(_env_file=None, environment="test", llm_models=value)
    assert "\n" not in str(caught.value)


def test_path_precedes_the_query_of_a_base_url() -> None:
    ends = ("", "/", "/chat/completions", "?api-version=1")
    urls = [url_of(URL + end, "/chat/completions") for end in ends]
    assert urls == [f"{URL}/chat/completions"] * 3 + [f"{URL}/chat/completions?api-version=1"]
