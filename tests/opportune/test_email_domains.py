"""E-mail addresses of domains that are reserved for tests, in development and in production."""

from collections.abc import Callable, Iterator

import pytest
from pydantic import TypeAdapter, ValidationError

from opportune import fields
from opportune.accounts.schemas import EMAIL_ADAPTER
from opportune.config.settings import using_settings
from opportune.mail.addresses import InvalidEmailError, parse_recipient
from opportune.testing.plugin import settings_for

VALIDATORS: dict[str, Callable[[str], object]] = {
    "account": EMAIL_ADAPTER.validate_python,
    "field": TypeAdapter[str](fields.Email).validate_python,
    "recipient": lambda email: parse_recipient(email).addr_spec,
}


@pytest.fixture
def production() -> Iterator[None]:
    with using_settings(settings_for("sqlite://").model_copy(update={"environment": "production"})):
        yield


@pytest.mark.parametrize("validate", VALIDATORS.values(), ids=VALIDATORS)
@pytest.mark.parametrize("domain", ["shop.test", "example.com"])
def test_development_accepts_reserved_domains(validate: Callable[[str], object], domain: str) -> None:
    assert validate(f"ada@{domain}") == f"ada@{domain}"


@pytest.mark.usefixtures("production")
@pytest.mark.parametrize("validate", VALIDATORS.values(), ids=VALIDATORS)
def test_production_refuses_reserved_domains(validate: Callable[[str], object]) -> None:
    with pytest.raises((ValidationError, InvalidEmailError), match="special-use or reserved"):
        validate("ada@shop.test")
