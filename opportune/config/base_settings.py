"""Base class of all settings, which reads them from environment, secrets and `.env`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pydantic_settings
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from opportune.config.env_lines import unreadable_line
from opportune.config.pasted_values import clean_quoted_values, clean_values
from opportune.errors import SettingsError
from opportune.project.installed import installed_features
from opportune.project.layout import PROJECT
from opportune.project.modules import settings_class

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

    renamed_settings: ClassVar[dict[str, str]] = {}
    """Advice by the former name. Ignoring such a setting could be unsafe, so the site does not start if it is set."""
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
        """Return the sources: arguments, environment, the secrets that SECRETS_FROM names, `.env`. The first wins.

        Values in the environment and in `.env` are cleaned in place.
        """
        del file_secret_settings  # `secrets_from` replaces them
        fields = settings_cls.model_fields
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = clean_quoted_values(env_settings.env_vars, fields)
        if isinstance(dotenv_settings, EnvSettingsSource):  # quotes in the file are already removed
            dotenv_settings.env_vars = clean_values(dotenv_settings.env_vars, fields)
        variables = env_settings, dotenv_settings
        cls._refuse_renamed(variables)
        secrets_from = init_settings().get("secrets_from", _read_first(variables, "secrets_from"))
        if not secrets_from:
            return init_settings, env_settings, dotenv_settings
        from opportune.config.secrets import secrets_source  # most sites have none

        return init_settings, env_settings, secrets_source(settings_cls, secrets_from, setting_names), dotenv_settings

    @classmethod
    def _refuse_renamed(cls, sources: Iterable[PydanticBaseSettingsSource]) -> None:
        """Raise SettingsError if a setting with a former name is set."""
        for name, advice in cls.renamed_settings.items():
            if _read_first(sources, name) is not None:
                raise SettingsError(f"{name.upper()} {advice}")


def _read_first(sources: Iterable[PydanticBaseSettingsSource], name: str) -> Any:
    """Return the value of one setting, None if no source has it. Reading all settings would take long."""
    values = (source.get_field_value(FieldInfo(), name)[0] for source in sources)
    return next((value for value in values if value is not None), None)


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
    file = values.get("_env_file", class_.model_config.get("env_file"))
    try:
        _refuse_unreadable_lines(file)
        return class_(**values)
    except ValidationError as error:
        raise SettingsError(*map(_describe_error, error.errors())) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is not valid UTF-8. Save it in UTF-8.") from None
    except PermissionError:
        raise SettingsError(f"{file} may not be read by this user. {FILE_OWNER_HINT}") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror or error}.") from None


def _refuse_unreadable_lines(name: object) -> None:
    """Raise SettingsError for a folder, or for a file with an unreadable line. Without a file, the name is None."""
    if not isinstance(name, str | Path):
        return
    file = Path(name)
    if file.is_dir():
        raise SettingsError(f"{file} is a folder. Replace it with a file.")
    if file.is_file() and (fault := unreadable_line(file.read_text(encoding="utf-8"))):
        raise SettingsError(f"{file}: {fault}")


def _describe_error(error: ErrorDetails) -> str:
    """Return a line with the name of the setting, the invalid part of its value, and the problem."""
    name, *path = [f"entry {part + 1}" if isinstance(part, int) else part for part in error["loc"] or ("",)]
    name = name.upper()
    if error["type"] == "missing" and not path:
        return f"{name} has no value. Set it in the environment or in .env."
    message = MESSAGES.get(error["type"], error["msg"].removeprefix("Value error, "))
    if path:
        message = f"{', '.join(path)}: {message}"
    if not name or message.startswith(name):
        return message
    return f"{name}: {message}"
