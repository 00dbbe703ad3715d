"""Fields for e-mail addresses, URLs, phone numbers and countries."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, EmailStr
from sqlalchemy import String

from opportune.config.email_domains import accept_development_domains, normalize_email
from opportune.config.host_names import is_http_url
from opportune.i18n import LazyText, get_language
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import is_english
from opportune.schemas.annotations import FieldOptions, Stored
from opportune.schemas.text import Line
from opportune.search.folding import fold

MAX_EMAIL_LENGTH = 320
MAX_URL_LENGTH = 2000
MAX_PHONE_LENGTH = 16
"""Maximum characters of an E.164 number, including the plus."""

INVALID_URL = _l("please enter a URL, such as https://example.com")
INVALID_PHONE = _l("please enter a phone number with its country code, such as +43 1 711 000")
INVALID_COUNTRY = _l("please enter a two-letter country code, such as AT")

SPACE = re.compile(r"\s")


def _check_url(text: str) -> str:
    if text and (SPACE.search(text) or not is_http_url(text)):
        raise ValueError(INVALID_URL)
    return text


def national(country: str) -> Callable[[str], str]:
    """Return a validator that adds the country code to numbers: `Annotated[Phone, BeforeValidator(national("AT"))]`."""

    def validate(text: str) -> str:
        return _parse_phone(text, country) if isinstance(text, str) else text

    return validate


def _parse_phone(text: str, country: str | None = None) -> str:
    if not text:
        return text
    import phonenumbers

    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        raise ValueError(INVALID_PHONE) from None
    is_complete = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    if number.extension or not is_complete:  # E.164 has no extension, and needs the area code
        raise ValueError(INVALID_PHONE)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@cache
def countries() -> Mapping[str, str]:
    """Return country names by two-letter code, sorted by their English name."""
    import iso3166  # only for forms with a country

    names = {country.alpha2: CountryName(country.apolitical_name) for country in iso3166.countries}
    for code, name in names.items():
        name.code = code
    return dict(sorted(names.items(), key=lambda item: fold(item[1])))


class CountryName(LazyText):
    """English name of a country, which pages show in the visitor's language."""

    code = ""

    def __str__(self) -> str:
        text = super().__str__()
        return text if is_english() else get_language().locale.territories.get(self.code, text)


def _check_country(code: str) -> str:
    if code and code.upper() not in countries():
        raise ValueError(INVALID_COUNTRY)
    return code.upper()


Email = Annotated[
    EmailStr,
    BeforeValidator(accept_development_domains),
    AfterValidator(normalize_email),
    Stored(String(MAX_EMAIL_LENGTH)),
    FieldOptions(type="email"),
]
"""E-mail address, stored in lower case and in one Unicode form."""

Url = Annotated[Line, AfterValidator(_check_url), Stored(String(MAX_URL_LENGTH)), FieldOptions(type="url")]
"""URL with http or https."""

Phone = Annotated[
    Line, AfterValidator(_parse_phone), Stored(String(MAX_PHONE_LENGTH)), FieldOptions(type="tel", autocomplete="tel")
]
"""Phone number, stored as E.164: `+431711000`."""

Country = Annotated[Line, AfterValidator(_check_country), Stored(String(2)), FieldOptions(countries, type="select")]
"""Two-letter ISO code of a country."""
