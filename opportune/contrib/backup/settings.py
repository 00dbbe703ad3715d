"""Settings of backups: destination, schedules, encryption and the number to keep."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, SecretStr, field_validator

from opportune.config.base_settings import BaseSettings
from opportune.jobs.schedules import CronExpression
from opportune.project.current import OPPMAN
from opportune.storage.location import Bucket, DatabaseFiles, parse_location

INSTALL = f"{OPPMAN} install backup"

EXAMPLE = "Write s3://key:secret@host/bucket/folder?region=NAME or file:./data/backups (oppman.py docs backups)."

KEEP_RULE = re.compile(r"(\d{1,4})\s*(hourly|daily|weekly|monthly|yearly)", re.IGNORECASE)


def parse_keep(text: str) -> dict[str, int]:
    """Parse `7 daily, 4 weekly` into `{"daily": 7, "weekly": 4}`."""
    rules = [KEEP_RULE.fullmatch(part.strip()) for part in text.split(",")]
    counts = {rule[2].lower(): int(rule[1]) for rule in rules if rule}
    # There are fewer counts if a part is no rule, or if two rules name the same period.
    if len(counts) < len(rules) or not any(counts.values()):
        raise ValueError(
            f"BACKUP_KEEP is {text!a}: write numbers of backups, such as '7 daily, 4 weekly, 6 monthly' "
            "(hourly, daily, weekly, monthly, yearly)."
        )
    return counts


def parse_public_keys(text: str) -> list[Any]:
    """Return pyrage's recipients for keys separated by commas or spaces. Messages show no keys: they may be private."""
    try:
        from pyrage import RecipientError, x25519
    except ImportError:
        raise ValueError(f"needs pyrage. Install it: {INSTALL}") from None
    try:
        keys = [x25519.Recipient.from_str(key) for key in text.replace(",", " ").split()]
    except RecipientError:
        keys = []
    if not keys:
        raise ValueError("must be one or more public keys of age (age1…), separated by commas. age-keygen makes one")
    return keys


def _check_keep(text: str) -> str:
    parse_keep(text)
    return text


class BackupSettings(BaseSettings):
    backup_url: SecretStr = SecretStr("")
    """Destination of scheduled backups: s3://key:secret@host/bucket/folder, or file:folder. Empty: off."""
    backup_schedule: CronExpression = "30 3 * * *"
    """Schedule as a cron expression in UTC."""
    backup_keep: Annotated[str, AfterValidator(_check_keep)] = "7 daily, 4 weekly, 6 monthly"
    """Backups to keep: the newest of each day, week, month (also hourly, yearly). All of the last day are kept."""
    backup_recipient: str = ""
    """Public keys of age (age1…, separated by commas) that encrypt backups. The site cannot read them."""
    backup_identity: SecretStr = SecretStr("")
    """Private key for `restore` (AGE-SECRET-KEY-1…). Set it where you restore, not on the server."""
    backup_passphrase: SecretStr = SecretStr("")
    """Passphrase that encrypts backups in the format of age. If you lose it, the backups cannot be read."""
    backup_bucket_uploads: bool = True
    """Whether backups include uploads in a bucket. Set it to false for large buckets."""
    backup_rehearsal_schedule: CronExpression = "30 4 * * 0"
    """Schedule of rehearsals, which restore the newest backup into a temporary database. Empty: never."""

    @field_validator("backup_url")
    @classmethod
    def _check_url(cls, value: SecretStr) -> SecretStr:
        _parse_url(value)
        return value

    @field_validator("backup_recipient")
    @classmethod
    def _check_public_keys(cls, value: str) -> str:
        if value.strip():  # pyrage is imported only if a site uses it
            parse_public_keys(value)
        return value

    @property
    def location(self) -> Path | Bucket | None:
        """Destination of scheduled backups; None if there is none."""
        return _parse_url(self.backup_url)


def _parse_url(url: SecretStr) -> Path | Bucket | None:
    if not (text := url.get_secret_value().strip()):
        return None
    location = parse_location(text, "BACKUP_URL", EXAMPLE)
    if isinstance(location, DatabaseFiles):
        raise ValueError(f"BACKUP_URL names the database. {EXAMPLE}")
    return location
