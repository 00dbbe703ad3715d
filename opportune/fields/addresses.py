"""Where somebody or something is to be found: an e-mail address, one of the web, a phone number, a country."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated
from urllib.parse import urlsplit

import iso3166
from pydantic import AfterValidator, BeforeValidator, EmailStr
from sqlalchemy import String

from opportune.config.email_domains import accept_development_domains
from opportune.schemas.annotations import FieldOptions, Stored
from opportune.text import Line

MAX_EMAIL_LENGTH = 320
MAX_URL_LENGTH = 2000
MAX_PHONE_LENGTH = 16
"""Characters of E.164, with its plus."""

URL_WANTED = "please give an address, such as https://example.com"
PHONE_WANTED = "please give a phone number with the code of its country, such as +43 1 711 000"
COUNTRY_WANTED = "please give a country by its code of two letters, such as AT"

SPACE = re.compile(r"\s")


def _lower(text: str) -> str:
    """What `str.lower` does, whose signature takes Pydantic long to find out."""
    return text.lower()


def _url(text: str) -> str:
    if text and not _is_address(text):
        raise ValueError(URL_WANTED)
    return text


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not SPACE.search(text)
    except ValueError:
        return False


def national(country: str) -> Callable[[str], str]:
    """A validator for numbers without their country's code: `Annotated[Phone, BeforeValidator(national("AT"))]`."""

    def read(text: str) -> str:
        return _phone(text, country) if isinstance(text, str) else text

    return read


def _phone(text: str, country: str | None = None) -> str:
    if not text:
        return text
    import phonenumbers

    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        raise ValueError(PHONE_WANTED) from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError(PHONE_WANTED)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@cache
def countries() -> Mapping[str, str]:
    """English names of countries by their codes of two letters, in the order of the names."""
    names = {country.alpha2: country.apolitical_name for country in iso3166.countries}
    return dict(sorted(names.items(), key=lambda item: item[1]))


def _country(code: str) -> str:
    if code and code.upper() not in countries():
        raise ValueError(COUNTRY_WANTED)
    return code.upper()


Email = Annotated[
    EmailStr,
    BeforeValidator(accept_development_domains),
    AfterValidator(_lower),
    Stored(String(MAX_EMAIL_LENGTH)),
    FieldOptions(type="email"),
]
"""An e-mail address, in small letters."""

Url = Annotated[Line, AfterValidator(_url), Stored(String(MAX_URL_LENGTH)), FieldOptions(type="url")]
"""An address with http or https."""

Phone = Annotated[
    Line, AfterValidator(_phone), Stored(String(MAX_PHONE_LENGTH)), FieldOptions(type="tel", autocomplete="tel")
]
"""A phone number, stored as E.164: `+431711000`."""

Country = Annotated[Line, AfterValidator(_country), Stored(String(2)), FieldOptions(countries, type="select")]
"""A country by its ISO code of two letters."""
