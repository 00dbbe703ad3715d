"""Public keys of age in `BACKUP_RECIPIENT`."""

from typing import Any

INSTALL = "python3 oppman.py install backup"


def parse_public_keys(text: str) -> list[Any]:
    """Return pyrage's recipients for keys separated by commas or spaces.

    Raises:
        ValueError: A key is invalid, or pyrage is not installed. The message never shows keys, which may be private.
    """
    try:
        from pyrage import RecipientError, x25519
    except ImportError:
        raise ValueError(f"needs pyrage. Install it: {INSTALL}") from None
    try:
        return [x25519.Recipient.from_str(key) for key in text.replace(",", " ").split()]
    except RecipientError:
        raise ValueError(
            "must be one or more public keys of age (age1…), separated by commas. age-keygen makes one"
        ) from None
