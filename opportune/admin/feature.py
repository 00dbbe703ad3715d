"""The feature of the admin: its views, pages and checks."""

from opportune.admin.dashboard.setup_steps import has_models_of_project, is_deployed
from opportune.admin.log.recording import RECORDING
from opportune.admin.models import AuditEntry, DashboardLayout, DefaultView, SavedView
from opportune.admin.row_versions.models import RowVersion
from opportune.admin.row_versions.recording import VERSIONING, delete_old_versions_daily, forget_author
from opportune.admin.shipped_groups import shipped_group_statements
from opportune.admin.trash.retention import empty_trash_daily
from opportune.db.migrations.post_migrate import post_migrate
from opportune.db.queries.batches import older_than
from opportune.feature import Cleanup, Feature, PersonalData, SetupStep

post_migrate(shipped_group_statements)

admin = Feature(
    name="admin",
    summary="The admin site and its log of changes.",
    models=(AuditEntry, SavedView, DefaultView, DashboardLayout, RowVersion),
    admin="opportune.admin.site_views",
    hooks=(*RECORDING, *VERSIONING),
    personal_data=PersonalData(
        summary="Your saved views and first page of the admin",
        owners=(SavedView.owner_id, DefaultView.user_id, DashboardLayout.user_id),
        forget=forget_author,
    ),
    setup_steps=(
        SetupStep("model", "Add a model of your own", has_models_of_project, "/docs/tutorial"),
        SetupStep("deploy", "Deploy the site", is_deployed, "/docs/deploy"),
    ),
    jobs=(empty_trash_daily, delete_old_versions_daily),
    cleanups=(Cleanup(AuditEntry, lambda settings: older_than(AuditEntry.at, settings.audit_days)),),
)
