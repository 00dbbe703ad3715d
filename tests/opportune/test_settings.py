"""Settings of the site: sources, validation and the example file."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from opportune.config import PROJECT, installed_features
from opportune.config.base_settings import setting_names, settings_classes
from opportune.config.env_example import AREAS, describe_settings, env_example
from opportune.config.hosts import HOST_VARIABLES
from opportune.config.settings import Settings, load_settings, read_feature_settings
from opportune.errors import SettingsError
from opportune.project.modules import settings_class
from tests.opportune.unreadable import unreadable

STRONG_KEY = "Zq3-7xT_m1Lk0pWv9sRb8nYc2Hd5Jf4Gg6"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove the variables of this machine, and use an empty .env."""
    for name in (*HOST_VARIABLES, *setting_names()):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(settings_class().model_config, "env_file", tmp_path / ".env")
    monkeypatch.chdir(tmp_path)


def test_example_is_up_to_date_and_valid(tmp_path: Path) -> None:
    example = (PROJECT / ".env.example").read_text(encoding="utf-8")
    assert example == env_example(settings_classes())
    (tmp_path / ".env").write_text(example, encoding="utf-8")
    assert load_settings().port == 8000
    uncommented = re.sub(r"^# ([A-Z][A-Z0-9_]*=)", r"\1", example, flags=re.MULTILINE)
    (tmp_path / ".env").write_text(uncommented, encoding="utf-8")
    read_feature_settings(load_settings(), installed_features())


def test_every_setting_has_an_area_and_a_description() -> None:
    settings = describe_settings(settings_classes())
    assert [name.upper() for name in settings] == list(setting_names())
    assert [name for name, setting in settings.items() if not (setting.area and setting.text)] == []
    assert not {name.upper() for name in AREAS} - set(setting_names()), "an area begins with a setting"


@pytest.mark.parametrize("key", ["", "CHANGE-ME", "x" * 64, STRONG_KEY[:31]])
def test_production_refuses_weak_keys(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("SECRET_KEY", key)
    with pytest.raises(SettingsError, match=r"^SECRET_KEY .*token_urlsafe") as error:
        load_settings()
    assert not key or key not in str(error.value)


@pytest.mark.parametrize("is_in_file", [False, True])
def test_former_setting_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_in_file: bool) -> None:
    if is_in_file:
        (tmp_path / ".env").write_text("STAFF_NEEDS_TWO_FACTOR=true\n", encoding="utf-8")
    else:
        monkeypatch.setenv("STAFF_NEEDS_TWO_FACTOR", "true")
    with pytest.raises(SettingsError, match=r"^STAFF_NEEDS_TWO_FACTOR is now .*NEEDS_SECOND_FACTOR=staff"):
        load_settings()


def test_production_refuses_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("SECRET_KEY", STRONG_KEY)
    monkeypatch.setenv("DEBUG", "true")
    with pytest.raises(SettingsError, match="DEBUG"):
        load_settings()


def test_development_makes_a_key_for_each_process() -> None:
    first, second = (load_settings().secret_key.get_secret_value() for _ in range(2))
    assert len(first) > 32
    assert first != second


@pytest.mark.parametrize(
    ("name", "value", "address", "header"),
    [
        ("RENDER_EXTERNAL_URL", "https://site.onrender.com", "https://site.onrender.com", ""),
        ("FLY_APP_NAME", "site", "https://site.fly.dev", "Fly-Client-IP"),
        ("DYNO", "site", "", ""),
    ],
)
def test_host_sets_defaults(monkeypatch: pytest.MonkeyPatch, name: str, value: str, address: str, header: str) -> None:
    monkeypatch.setenv("SECRET_KEY", STRONG_KEY)
    monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.base_url, settings.client_address_header) == (address, header)
    assert settings.hosts == ([address.removeprefix("https://")] if address else [])


@pytest.mark.parametrize("name", HOST_VARIABLES)
def test_known_host_is_production(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "something")
    with pytest.raises(SettingsError, match="SECRET_KEY is missing"):
        load_settings()


def test_international_hosts_are_converted_to_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", STRONG_KEY)
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("BASE_URL", "https://münchen.example:8443/")
    settings = load_settings()
    assert settings.base_url == "https://xn--mnchen-3ya.example:8443"
    assert settings.hosts == ["xn--mnchen-3ya.example"]
    monkeypatch.setenv("ALLOWED_HOSTS", "münchen.example, *.münchen.example")
    assert load_settings().hosts == ["xn--mnchen-3ya.example", "*.xn--mnchen-3ya.example"]
    monkeypatch.setenv("ALLOWED_HOSTS", ".example.org,*,[::1]")  # .example.org as in Django
    assert load_settings().hosts == ["example.org", "*.example.org", "*", "[::1]"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "sesame-opens"),
        ("ENVIRONMENT", "sesame"),
        ("BASE_URL", "https://sesame opens"),
        ("BASE_URL", "https://sesame..example"),
        ("BASE_URL", "https://me:sesame@site.example"),
        ("OIDC_URL", "https://me:sesame@id.example"),
        ("ALLOWED_HOSTS", "sesame..example"),
        ("ALLOWED_HOSTS", "sesame*.example"),
        ("TRUSTED_PROXIES", "127.0.0.1, sesame"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),  # host bits must be zero
        ("SITE_NAME", "sesame\nBcc: all"),
        ("LLM_BASE_URL", "sesame:11434/v1"),
    ],
)
def test_malformed_value_is_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: ") as error:
        load_settings()
    assert "sesame" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other owners")
def test_env_file_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class_ = settings_class()  # another user may be unable to import it from the project
    monkeypatch.setattr("opportune.config.settings.settings_class", lambda: class_)
    with unreadable(".env", "PORT=1\n") as path:
        monkeypatch.setitem(class_.model_config, "env_file", path)
        with pytest.raises(SettingsError, match=r"\.env may not be read by this user\. Run this as the user whose"):
            load_settings()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("DATABASE_URL='postgresql://me:sesame's@h/d'", "has a quote that does not end its value: "),
        ('DATABASE_URL="postgresql://me:sesame@h/d', "has a quote that does not end its value: "),
        *((line, "has no NAME=value. ") for line in ("sesame, for hosts", "MY PORT=1", "=1")),
    ],
)
def test_unreadable_line_is_named_but_not_shown(tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / ".env").write_text(f"PORT=1\n\n# comment\n\n\n{line}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=re.escape(f".env: line 6 {fault}")) as error:
        load_settings()
    assert "sesame" not in str(error.value)


@pytest.mark.parametrize("line", ["export PORT=1", "export PATH", "PORT = 1 # comment"])
def test_lines_of_a_shell_script_are_read(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"SITE_NAME=She\u200clf\n{line}\n", encoding="utf-8")
    assert load_settings().site_name == "She\u200clf"


def test_scheme_of_cache_url_may_have_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHE_URL", "REDIS://cache.example/A")
    settings = load_settings()
    assert (settings.has_redis, settings.cache_url.get_secret_value()) == (True, "redis://cache.example/A")


def test_environment_wins_over_the_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=1111\nLLM_MODEL=small\n", encoding="utf-8")
    monkeypatch.setenv("PORT", "2222")
    settings = load_settings()
    assert (settings.port, settings.llm_model) == (2222, "small")


@pytest.mark.parametrize(
    ("values", "sizes"),
    [
        ({}, (5, 5)),
        ({"database_connections": 80, "processes": 8, "bus": "postgresql"}, (2, 2)),
        ({"database_connections": 9, "processes": 3}, (1, 0)),
    ],
)
def test_connections_are_divided_by_processes(values: dict[str, Any], sizes: tuple[int, int]) -> None:
    assert Settings(_env_file=None, environment="test", **values).pool_size == sizes


def test_too_few_connections_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSES", "10")
    monkeypatch.setenv("DATABASE_CONNECTIONS", "20")
    with pytest.raises(SettingsError, match=r"DATABASE_CONNECTIONS: must be at least 30, which is 3 for each"):
        load_settings()
