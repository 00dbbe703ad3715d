"""Creation of providers from the settings, and the entries of LLM_MODELS."""

import json
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from opportune.config.llm_models import LlmModel
from opportune.config.settings import Settings, load_settings
from opportune.contrib.llm import Timeouts, estimate_tokens, make_provider, models_of
from opportune.contrib.llm.providers import local
from opportune.contrib.llm.providers.fake import FakeProvider
from opportune.contrib.llm.providers.openai_compatible import OpenAICompatible
from opportune.errors import OperatorError, SettingsError


def make_settings(**values: object) -> Settings:
    site_settings = Settings(_env_file=None, environment="development", secret_key=SecretStr("k" * 40))
    return site_settings.model_copy(update=values)


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a", 1), ("four", 1), ("fives", 2), ("日本", 2)])
def test_four_bytes_are_about_a_token(text: str, count: int) -> None:
    assert estimate_tokens(text) == count


def test_lone_surrogate_is_counted() -> None:
    assert estimate_tokens("\ud83d") == 1


def test_limits_come_from_the_settings() -> None:
    site_settings = make_settings(llm_connect_timeout=1, llm_first_byte_timeout=2, llm_idle_timeout=3, llm_timeout=4)
    assert Timeouts.of(site_settings) == Timeouts(connect=1, first=2, idle=3, whole=4)


def test_endpoint_precedes_the_local_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_weights", lambda: Path("model.gguf"))
    provider = make_provider(make_settings(llm_base_url="https://llm.example/v1", llm_model="big"))
    assert provider
    assert provider.name == "big"


def test_endpoint_without_model_is_named_by_host() -> None:
    provider = make_provider(make_settings(llm_base_url="https://llm.example/v1"))
    assert provider
    assert provider.name == "llm.example"


def test_local_model_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_weights", lambda: Path("model.gguf"))
    provider = make_provider(make_settings())
    assert provider
    assert provider.name == "SmolLM2-135M on this machine"


def test_no_endpoint_and_no_wheels_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_weights", lambda: None)
    assert make_provider(make_settings()) is None


def test_test_environment_uses_a_fake_provider() -> None:
    assert isinstance(make_provider(make_settings(environment="test")), FakeProvider)


class ScriptedProvider(FakeProvider):
    def __init__(self, site_settings: Settings, model: LlmModel) -> None:
        super().__init__(f"{model.name} of {site_settings.site_name}.")


def test_custom_provider_is_used() -> None:
    site_settings = make_settings(llm_models=[LlmModel(name="Words", provider=f"{__name__}:ScriptedProvider")])
    provider = make_provider(site_settings)
    assert isinstance(provider, ScriptedProvider)
    assert provider.script == (f"Words of {site_settings.site_name}.",)


@pytest.mark.parametrize("provider_path", ["app.nowhere:make", f"{__name__}:nothing", "nowhere", ":", "app."])
def test_missing_provider_class_is_one_line(provider_path: str) -> None:
    with pytest.raises(OperatorError, match=rf"^LLM_MODELS: cannot import {re.escape(provider_path)} for Words \("):
        make_provider(make_settings(llm_models=[LlmModel(name="Words", provider=provider_path)]))


def load_models(*models: dict[str, object], **values: object) -> list[LlmModel]:
    return models_of(load_settings(_env_file=None, environment="test", llm_models=json.dumps(models), **values))


def test_models_default_to_endpoint_and_key() -> None:
    fast, local = load_models(
        {"name": "Fast", "model": "vendor/fast"},
        {"name": "Near", "base_url": "http://127.0.0.1:11434/v1"},
        llm_base_url="https://llm.example/v1",
        llm_api_key="for llm.example alone",
    )
    assert (fast.base_url, fast.api_key.get_secret_value()) == ("https://llm.example/v1", "for llm.example alone")
    assert (local.base_url, local.api_key.get_secret_value()) == ("http://127.0.0.1:11434/v1", "")


def test_key_of_a_model_or_of_a_setting() -> None:
    endpoint = {"base_url": "https://llm.example/v1"}
    with_key, provider_path = load_models(
        {"name": "Own", "api_key": "its own", **endpoint},
        {"name": "Named", "api_key_setting": "llm_api_key", **endpoint},
        llm_api_key="of the setting",
    )
    assert with_key.api_key.get_secret_value() == "its own"
    assert provider_path.api_key.get_secret_value() == "of the setting"


def test_prompt_leaves_room_for_the_answer() -> None:
    (model,) = load_models({"name": "Big", "base_url": "https://llm.example/v1", "context_tokens": 9_000})
    provider = make_provider(make_settings(llm_models=[model]))
    assert isinstance(provider, OpenAICompatible)
    assert provider.context_budget == 9_000 - model.max_answer_tokens


def test_cost_follows_from_tokens() -> None:
    model = LlmModel(name="Big", price_per_million_prompt_tokens="3", price_per_million_answer_tokens="15")
    assert model.cost_micro(2_000, 100) == 7_500


ADDRESS = '"base_url": "https://llm.example/v1"'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("Fast", "LLM_MODELS: must be a JSON list such as"),
        ('{"name": "Fast"}', "LLM_MODELS: must be a JSON list such as"),
        ('[{"model": "fast"}]', "LLM_MODELS: entry 1, name: Field required"),
        ('[{"name": "Fast", "url": "x"}]', "LLM_MODELS: entry 1, url: Extra inputs are not permitted"),
        ('[{"name": "Fast", "base_url": "llm.example"}]', "LLM_MODELS: entry 1, base_url: must be a URL"),
        ('[{"name": "Fast"}]', "LLM_MODELS: Fast needs a base_url, or set LLM_BASE_URL for all models"),
        (f'[{{"name": "Fast", {ADDRESS}}}, {{"name": "Fast", {ADDRESS}}}]', "LLM_MODELS: Fast is listed twice"),
        (
            f'[{{"name": "Fast", "fallback": "Slow", {ADDRESS}}}]',
            "the fallback of Fast must be another listed model: Fast",
        ),
        (
            f'[{{"name": "Fast", "api_key_setting": "no_key", {ADDRESS}}}]',
            "there is no setting no_key with the key of Fast",
        ),
        (f'[{{"name": "Fast", "context_tokens": 300, {ADDRESS}}}]', "entry 1: max_answer_tokens leaves no room"),
    ],
)
def test_mistake_in_llm_models_is_one_line(value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)) as caught:
        load_settings(_env_file=None, environment="test", llm_models=value)
    assert "\n" not in str(caught.value)
