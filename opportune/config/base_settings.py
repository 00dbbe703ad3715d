"""Base class of all settings, which reads them from environment, secrets and `.env`."""

from pathlib import Path
from typing import Any, TypeVar

import pydantic_settings
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from opportune.config.env_lines import unreadable_line
from opportune.config.pasted_values import pasted_values, without_empty_values
from opportune.errors import SettingsError
from opportune.project.layout import PROJECT, installed_features, settings_class

FILE_OWNER_HINT = "Run this as the user whose file it is, or give the file to this user (chown)."
MESSAGES = {"bool_parsing": "Write true or false.", "int_parsing": "Write a whole number."}
"""Short replacements for messages of Pydantic, by its error type."""

S = TypeVar("S", bound="BaseSettings")


class BaseSettings(pydantic_settings.BaseSettings):
    """Base class of a feature's settings. Each attribute is a setting, named like its variable in lower case.

        class BooksSettings(BaseSettings):
            books_per_page: int = 20

    `Feature(settings=BooksSettings)` reads them at the start of the site and lists them in `.env.example`.
    """

    model_config = SettingsConfigDict(
        env_file=PROJECT / ".env", env_file_encoding="utf-8", extra="ignore", frozen=True, defer_build=True
    )

    secrets_from: str = ""
    """aws:SECRET, gcp:PROJECT or azure:VAULT: read settings there (oppman.py docs deploy). The environment wins."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[pydantic_settings.BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources: arguments, environment, the secrets that SECRETS_FROM names, `.env`. The first wins."""
        del file_secret_settings
        fields = settings_cls.model_fields
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = pasted_values(env_settings.env_vars, fields)
        if isinstance(dotenv_settings, EnvSettingsSource):  # quotes in the file are already removed
            dotenv_settings.env_vars = without_empty_values(dotenv_settings.env_vars, fields)
        sources = init_settings, env_settings, dotenv_settings
        # Only this field is read here, because reading all of them takes as long as the settings themselves.
        field = fields["secrets_from"]
        values = [init_settings().get("secrets_from")]
        values += [source.get_field_value(field, "secrets_from")[0] for source in sources]
        secrets_from = next((value for value in values if value is not None), "")
        if not secrets_from:
            return sources
        from opportune.config.secrets.source import secrets_source  # most sites have none

        return init_settings, env_settings, secrets_source(settings_cls, secrets_from, setting_names), dotenv_settings


def settings_classes() -> "list[type[BaseSettings]]":
    """Return the settings class of the project, then those of its features."""
    return [settings_class(), *(feature.settings for feature in installed_features() if feature.settings)]


def setting_names() -> list[str]:
    """Return the name of every environment variable that is read, in the order of `env --all`."""
    return list(dict.fromkeys(name.upper() for class_ in settings_classes() for name in class_.model_fields))


def read_class(class_: type[S], **values: Any) -> S:
    """Read one class of settings, of the site or of a feature.

    Args:
        class_: The class to instantiate.
        values: Values that replace those of the environment and of `.env`.

    Raises:
        SettingsError: A setting is invalid. The message names it and does not show its value.
    """
    try:
        _refuse_unreadable_lines(values.get("_env_file", class_.model_config.get("env_file")))
        return class_(**values)
    except ValidationError as error:
        raise SettingsError("; ".join(map(_message, error.errors()))) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{PROJECT / '.env'} is not valid UTF-8. Save it in UTF-8.") from None
    except PermissionError:
        raise SettingsError(f"{PROJECT / '.env'} may not be read by this user. {FILE_OWNER_HINT}") from None
    except OSError as error:
        raise SettingsError(f"{PROJECT / '.env'} cannot be read: {error.strerror or error}.") from None


def _refuse_unreadable_lines(file: object) -> None:
    if not (isinstance(file, Path) and file.is_file()):
        return
    if fault := unreadable_line(file.read_text(encoding="utf-8")):
        raise SettingsError(f"{file}: {fault}")


def _message(error: ErrorDetails) -> str:
    name = str(error["loc"][0]).upper() if error["loc"] else ""
    if error["type"] == "missing" and len(error["loc"]) == 1:
        return f"{name} has no value. Set it in the environment or in .env."
    message = MESSAGES.get(error["type"], error["msg"].removeprefix("Value error, "))
    if path := [f"entry {part + 1}" if isinstance(part, int) else str(part) for part in error["loc"][1:]]:
        message = f"{', '.join(path)}: {message}"
    return f"{name}: {message}" if name and not message.startswith(name) else message
