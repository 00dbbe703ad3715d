"""The feature of the admin: its views, pages and checks."""

from opportune.admin.log.recording import RECORDING
from opportune.admin.models import AuditEntry, DashboardLayout, DefaultView, ImportFile, RowVersion, SavedView
from opportune.admin.personal_data import personal_data
from opportune.admin.shipped_groups import shipped_group_statements
from opportune.admin.trash.retention import empty_trash_daily
from opportune.db.queries.batches import older_than
from opportune.feature import Accounts, Admin, Cleanup, Data, Feature, Jobs

admin = Feature(
    "admin",
    "The admin site and its log of changes.",
    models=(AuditEntry, SavedView, DefaultView, DashboardLayout, RowVersion, ImportFile),
    admin=Admin("opportune.admin.site_views"),
    hooks=RECORDING,
    data=Data(post_migrate=(shipped_group_statements,)),
    accounts=Accounts(personal_data=personal_data),
    jobs=Jobs(
        (empty_trash_daily,),
        cleanups=(Cleanup(AuditEntry, lambda settings: older_than(AuditEntry.at, settings.audit_days)),),
    ),
)
