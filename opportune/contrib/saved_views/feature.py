"""The feature of saved views, which stores them in tables of the admin."""

from opportune.feature import Admin, Feature

saved_views = Feature(
    "saved_views",
    "Saved views of the admin's lists.",
    requires=("admin",),
    admin=Admin(extension="opportune.contrib.saved_views.pages.SavedViewsExtension"),
)
