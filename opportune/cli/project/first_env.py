"""Text of a first `.env`. Uses only the standard library, because startproject runs before packages are installed."""

import secrets

KEY = "SECRET_KEY"
FIRST_VALUES = {"ENVIRONMENT": "development", "DEBUG": "true"}
"""Settings of a first `.env`, without the key."""


def generate_key() -> str:
    """Return 64 random characters for SECRET_KEY."""
    return secrets.token_urlsafe(48)


def first_env() -> str:
    lines = "".join(f"{name}={value}\n" for name, value in FIRST_VALUES.items())
    return f"# Your settings. List all of them: python3 oppman.py env --all\n{lines}{KEY}={generate_key()}\n"
