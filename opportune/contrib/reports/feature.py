"""The feature of reports, which stores them among the saved views of the admin."""

from opportune.contrib.reports.jobs import send_due_reports, send_report
from opportune.feature import Admin, Feature, Jobs

reports = Feature(
    "reports",
    "Reports of the admin's lists: grouped counts and sums, also by e-mail.",
    requires=("saved_views",),
    admin=Admin(extension="opportune.contrib.reports.pages.ReportsExtension"),
    jobs=Jobs((send_due_reports, send_report)),
)
