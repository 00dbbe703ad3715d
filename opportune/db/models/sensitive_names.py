"""Names of columns whose values are secrets or permissions."""

import re
from functools import lru_cache
from typing import Any

SECRET_NAME = re.compile(r"password|secret(?!ar|_name)|api_?key|(^|_)(token|hash)(_|$)", re.IGNORECASE)
PRIVILEGE_NAME = re.compile(
    r"^(is_)?(superuser|staff|verified|admin)$|^(roles?|permissions?|privileges?|grants|scopes)$"
)
"""Names of fields with which users could give themselves permissions."""
ACCOUNT_STATE_NAME = re.compile(r"^(is_)?active$|^groups?$")
"""Names that are privileges only of accounts. Other rows may be active, or have a group."""
MAX_MESSAGE_VALUE_LENGTH = 60
"""Maximum characters of a value in a message."""


@lru_cache(4096)
def is_secret(name: str) -> bool:
    """Return whether a column name, or the last part of a path such as `owner.email`, indicates a secret."""
    return bool(SECRET_NAME.search(name.rsplit(".", 1)[-1]))


def is_privilege(name: str, *, of_account: bool = False) -> bool:
    """Return whether a column name indicates a permission."""
    return bool(PRIVILEGE_NAME.search(name) or (of_account and ACCOUNT_STATE_NAME.search(name)))


def value_for_message(name: str, value: Any) -> str:
    """Return the shortened value of a column or an SQL expression; secrets are masked."""
    if any(map(is_secret, re.findall(r"\w+", name))):
        return "a value"
    return repr(str(value)[:MAX_MESSAGE_VALUE_LENGTH])
