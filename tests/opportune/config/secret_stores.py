"""Errors of settings in secret stores, which never contain the secret."""

import pytest

from opportune.config.settings import load_settings
from opportune.errors import SettingsError

SECRET = "p@ss/w:rd%?#[é"


def settings_error(secrets_from: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(secrets_from=secrets_from)
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    return text
