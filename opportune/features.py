"""The framework's own features, for a project's list of what is installed."""

from opportune.accounts.feature import accounts
from opportune.admin.feature import admin
from opportune.jobs.feature import jobs

__all__ = ["accounts", "admin", "jobs"]
