"""Base of Google Secret Manager and Azure Key Vault, in which each secret holds one setting."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

from opportune.errors import SettingsError

INSTALL = "python3 -m pip install --no-deps --require-hashes -r"
TIMEOUT_SECONDS = 5


class Vault(ABC):
    """A store of secrets whose names are names of settings. Each value is fetched once."""

    title: ClassVar[str]
    lock: ClassVar[str]
    """File with the packages that this store needs."""
    loggers: ClassVar[tuple[str, ...]]
    """Loggers of those packages."""
    messages: ClassVar[dict[int, str]]
    """Explanations of HTTP statuses."""
    no_credentials: ClassVar[str]

    def __init__(self, name: str) -> None:
        self.name = name
        self._ids: dict[str, str] | None = None
        self._values: dict[str, str] = {}

    @abstractmethod
    def connect(self) -> AbstractContextManager[Any]: ...

    @abstractmethod
    def list_ids(self, client: Any) -> Iterable[str]: ...

    @abstractmethod
    def fetch(self, client: Any, secret: str) -> str: ...

    @abstractmethod
    def explain(self, error: Exception) -> str | None:
        """Return the reason in one sentence without details, or None for an unexpected error."""

    def read(self, settings: Collection[str]) -> dict[str, str]:
        """Return the values of those settings that the store has.

        Raises:
            SettingsError: The store cannot be read. The message contains no secret.
        """
        if self._ids is None or self._ids.keys() & settings - self._values.keys():
            self._load(set(settings))
        return {name: value for name, value in self._values.items() if name in settings}

    def _load(self, settings: set[str]) -> None:
        subject = self.name
        try:
            with self._quiet_loggers(), self.connect() as client:
                if self._ids is None:
                    self._ids = self._ids_by_setting(self.list_ids(client))
                for setting in sorted(self._ids.keys() & settings - self._values.keys()):
                    subject = f"{self.name}, secret {self._ids[setting]}"
                    self._values[setting] = self.fetch(client, self._ids[setting])
        except SettingsError:
            raise
        except ImportError:
            raise SettingsError(f"SECRETS_FROM needs packages for {self.title}: {INSTALL} {self.lock}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"SECRETS_FROM: {subject}: The value is binary. Store text.") from None
        except Exception as error:
            reason = self._status_message(error) or self.explain(error)
            if not reason:
                raise
            raise SettingsError(f"SECRETS_FROM: {subject}: {reason}") from None

    def _status_message(self, error: Exception) -> str | None:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        return self.messages.get(status) if isinstance(status, int) else None

    def _ids_by_setting(self, secrets: Iterable[str]) -> dict[str, str]:
        ids: dict[str, str] = {}
        for secret in secrets:
            setting = secret.replace("-", "_").lower()
            if setting in ids:
                raise SettingsError(
                    f"SECRETS_FROM: {self.name} has two secrets for one setting, {ids[setting]} and {secret}. "
                    "Delete one of them."
                )
            ids[setting] = secret
        return ids

    @contextmanager
    def _quiet_loggers(self) -> Iterator[None]:
        """Suppress log messages of the packages, because the SettingsError reports the same problem."""
        levels = {logger: logger.level for logger in map(logging.getLogger, self.loggers)}
        for logger in levels:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in levels.items():
                logger.setLevel(level)
