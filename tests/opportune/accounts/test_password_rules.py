"""Rules for new passwords."""

import gzip
import hashlib
from importlib.resources import files

import pytest

from opportune.accounts.passwords.rules import find_password_problem, password_problem
from opportune.config.settings import Settings
from opportune.testing.plugin import settings_for

LONG_PASSWORD = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(16))
EMAIL = "john.smith@analytical-engines.co.uk"
GUESSABLE = "Password123 basketball qwertzuiop abcabcabcabc 24.12.2026 P@ssw0rd!!"
MADE_OF_NAMES = "johnsmith1 4n4lytic4l kraftwerk-bauhof BauhofKraftwerk kraftwerk1 ada.lovelace lovelace1815"


@pytest.fixture
def site_settings() -> Settings:
    return settings_for("sqlite://").model_copy(update={"site_name": "Kraftwerk Bauhof"})


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("1234567", "at least 8"),
        ("x" * 1025, "at most 1024"),
        ("nul\0 is no character", "NUL"),
        ("half a character: \ud800", "Unicode"),
        *((password, "easy to guess") for password in (*GUESSABLE.split(), "x" * 1024)),
    ],
)
def test_weak_password_is_refused(site_settings: Settings, password: str, message: str) -> None:
    assert message in (password_problem(password, EMAIL, site_settings) or "")


@pytest.mark.parametrize("password", [EMAIL.upper(), *MADE_OF_NAMES.split()])
def test_password_made_of_names_is_refused(site_settings: Settings, password: str) -> None:
    assert "name" in (password_problem(password, EMAIL, site_settings, "Ada Lovelace") or "")


@pytest.mark.parametrize(
    "password", ["rX7#pQ2z", "vkzpmtwq", "correct-horse", "пароль из слов", "  spaces around  ", LONG_PASSWORD]
)
def test_strong_password_is_accepted(site_settings: Settings, password: str) -> None:
    assert password_problem(password, EMAIL, site_settings) is None


def test_min_password_length_is_a_setting(site_settings: Settings) -> None:
    longer = site_settings.model_copy(update={"min_password_length": 15})
    assert "at least 15" in (password_problem("rX7#pQ2zuW5§wM", EMAIL, longer) or "")
    assert password_problem("rX7#pQ2zuW5§wMv", EMAIL, longer) is None


def test_most_of_django_common_passwords_are_refused(site_settings: Settings) -> None:
    packed = files("django.contrib.auth").joinpath("common-passwords.txt.gz").read_bytes()
    # Check every fortieth password, because all 8,354 that are long enough take 4 s.
    common = [line for line in gzip.decompress(packed).decode().split() if len(line) >= 8][::40]
    accepted = [password for password in common if not password_problem(password, EMAIL, site_settings)]
    assert len(accepted) < len(common) * 0.06


async def test_words_of_one_user_are_not_used_for_another(site_settings: Settings) -> None:
    assert await find_password_problem("lovelace1815", EMAIL, site_settings, "Ada Lovelace")
    assert await find_password_problem("zarquon-bleem", "zarquon.bleem@example.com", site_settings)
    assert await find_password_problem("zarquon-bleem", EMAIL, site_settings) is None
