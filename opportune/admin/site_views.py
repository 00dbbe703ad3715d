"""Pages of the admin itself, in the order of the menu."""

from opportune.admin.appearance.view import AppearanceAdmin
from opportune.admin.log.history import LogAdmin
from opportune.admin.operations.jobs import JobAdmin
from opportune.admin.operations.view import CacheAdmin, OperationsAdmin
from opportune.admin.status.view import StatusAdmin

VIEWS = (StatusAdmin, OperationsAdmin, JobAdmin, CacheAdmin, AppearanceAdmin, LogAdmin)
