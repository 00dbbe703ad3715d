"""Google Secret Manager: `SECRETS_FROM=gcp:PROJECT`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from opportune.config.secrets.vault import TIMEOUT_SECONDS, Vault

ALLOW = "Grant roles/secretmanager.viewer and roles/secretmanager.secretAccessor on the project."


class GoogleVault(Vault):
    """The newest versions of a project's secrets."""

    title = "Google Secret Manager"
    lock = "requirements/gcp.lock"
    loggers = ("google",)
    no_credentials = "There are no Google credentials. Attach a service account, or set GOOGLE_APPLICATION_CREDENTIALS."
    messages = {
        400: "Its newest version is disabled or destroyed, or the project's name is invalid.",
        401: "Google does not accept these credentials. They are wrong or have expired.",
        403: f"Google denies access, or the Secret Manager API of the project is off. {ALLOW}",
        404: "There is no such project, or the secret has no version.",
    }

    @contextmanager
    def connect(self) -> Iterator[Any]:
        from google.auth import default
        from google.cloud.secretmanager import SecretManagerServiceClient

        credentials, _ = default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        # gRPC writes its errors to stderr and does not survive a fork.
        with SecretManagerServiceClient(credentials=credentials, transport="rest") as client:
            yield client

    def list_ids(self, client: Any) -> Iterable[str]:
        parent = client.common_project_path(self.name)
        for secret in client.list_secrets(parent=parent, timeout=TIMEOUT_SECONDS, retry=None):
            yield secret.name.rpartition("/")[2]

    def fetch(self, client: Any, secret: str) -> str:
        version = client.secret_version_path(self.name, secret, "latest")
        response = client.access_secret_version(name=version, timeout=TIMEOUT_SECONDS, retry=None)
        text: str = response.payload.data.decode()
        return text

    def explain(self, error: Exception) -> str | None:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError, TransportError
        from requests import RequestException

        match error:
            case DefaultCredentialsError():
                return self.no_credentials
            case RefreshError():
                return self.messages[401]
            case TransportError() | RequestException():
                return "Google cannot be reached. Check the network."
            case GoogleAPIError() | GoogleAuthError():
                return f"Google reports {type(error).__name__}."
        return None
