"""Settings from `SECRETS_FROM`: AWS Secrets Manager, Google Secret Manager or Azure Key Vault."""

from collections.abc import Callable, Collection
from functools import cache

import pydantic_settings
from pydantic_settings import EnvSettingsSource, InitSettingsSource, PydanticBaseSettingsSource

from opportune.config.pasted_values import pasted_values
from opportune.config.secrets import aws
from opportune.config.secrets.azure import AzureVault
from opportune.config.secrets.gcp import GoogleVault
from opportune.config.secrets.vault import Vault
from opportune.errors import SettingsError

VAULTS: dict[str, type[Vault]] = {"gcp": GoogleVault, "azure": AzureVault}


def secrets_source(
    settings_class: type[pydantic_settings.BaseSettings],
    secrets_from: str,
    all_setting_names: Callable[[], Collection[str]] = tuple,
) -> PydanticBaseSettingsSource:
    """Return a settings source with the values at `secrets_from`.

    Args:
        settings_class: The class to read settings for.
        secrets_from: `aws:NAME`, `gcp:PROJECT` or `azure:VAULT`. Several names are separated by commas.
        all_setting_names: Function that returns all setting names of the site, to report an AWS secret with none of
            them.

    Raises:
        SettingsError: The secrets cannot be read. The message contains no secret.
    """
    scheme, names = parse_secrets_from(secrets_from)
    if scheme == "aws":
        values = aws.read_settings(names, settings_class.model_fields, all_setting_names)
        return InitSettingsSource(settings_class, pasted_values(values, settings_class.model_fields))
    # Google and Azure store strings, like environment variables, so lists are parsed as JSON.
    source = EnvSettingsSource(settings_class)
    fields = settings_class.model_fields
    source.env_vars = pasted_values(_read_vaults(scheme, names, fields), fields)
    return source


def settings_in_secrets(secrets_from: str, settings: Collection[str]) -> set[str]:
    """Return the settings that `secrets_from` has values for.

    Raises:
        SettingsError: The secrets cannot be read.
    """
    scheme, names = parse_secrets_from(secrets_from)
    return set(aws.read_settings(names, settings) if scheme == "aws" else _read_vaults(scheme, names, settings))


def parse_secrets_from(value: str) -> tuple[str, list[str]]:
    """Split `aws:a, b` into its scheme and the names."""
    scheme, _, secrets = value.partition(":")
    names = [name.strip() for name in secrets.split(",")]
    if scheme not in {"aws", *VAULTS} or not all(names):
        raise SettingsError("SECRETS_FROM must be empty, aws:SECRET, gcp:PROJECT or azure:VAULT.")
    return scheme, names


def _read_vaults(scheme: str, names: list[str], settings: Collection[str]) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for name in names:
        values |= open_vault(scheme, name).read(settings)
    return values


@cache
def open_vault(scheme: str, name: str) -> Vault:
    return VAULTS[scheme](name)
