"""The text of a first `.env`. Standard library only: startproject writes one before anything is installed."""

import secrets

KEY = "SECRET_KEY"
FIRST_VALUES = {"ENVIRONMENT": "development", "DEBUG": "true"}
"""Settings besides the key."""


def new_key() -> str:
    """64 random characters for SECRET_KEY."""
    return secrets.token_urlsafe(48)


def first_env() -> str:
    """Its text, with a key of its own."""
    first = "".join(f"{name}={value}\n" for name, value in FIRST_VALUES.items())
    return f"# Your settings; .env.example lists all.\n{first}{KEY}={new_key()}\n"
