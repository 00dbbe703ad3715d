"""Azure Key Vault: `SECRETS_FROM=azure:VAULT`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from opportune.config.secrets.vault import TIMEOUT_SECONDS, Vault

HTTP_OPTIONS: dict[str, Any] = {"connection_timeout": 3, "read_timeout": TIMEOUT_SECONDS, "retry_total": 1}


class AzureVault(Vault):
    """The enabled secrets of a vault. Their names have dashes instead of underscores: `SECRET-KEY`."""

    title = "Azure Key Vault"
    lock = "requirements/azure.lock"
    loggers = ("azure", "msal")
    no_credentials = (
        "There are no Azure credentials. Give the machine a managed identity, or set AZURE_CLIENT_ID and the like."
    )
    messages = {
        401: "Azure does not accept these credentials. They are wrong, have expired or belong to another tenant.",
        403: "Azure denies access. Give the identity the role Key Vault Secrets User, and check the vault's firewall.",
        404: "There is no such secret.",
    }

    @contextmanager
    def connect(self) -> Iterator[Any]:
        from azure.identity import DefaultAzureCredential
        from azure.keyvault.secrets import SecretClient

        url = self.name if "://" in self.name else f"https://{self.name}.vault.azure.net"
        with (
            DefaultAzureCredential(process_timeout=TIMEOUT_SECONDS, **HTTP_OPTIONS) as credential,
            SecretClient(url, credential, **HTTP_OPTIONS) as client,
        ):
            yield client

    def list_ids(self, client: Any) -> Iterable[str]:
        return (secret.name for secret in client.list_properties_of_secrets() if secret.enabled)

    def fetch(self, client: Any, secret: str) -> str:
        return client.get_secret(secret).value or ""

    def explain(self, error: Exception) -> str | None:
        from azure.core.exceptions import (
            AzureError,
            ClientAuthenticationError,
            ServiceRequestError,
            ServiceResponseError,
        )

        match error:
            case ClientAuthenticationError():
                return self.no_credentials
            case ServiceRequestError() | ServiceResponseError():
                return "The vault cannot be reached. Check its name and the network."
            case AzureError() | ValueError():
                return f"Azure reports {type(error).__name__}."
        return None
