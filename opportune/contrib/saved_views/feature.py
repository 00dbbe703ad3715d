"""The feature of saved views, which stores them in tables of the admin."""

from opportune.feature import Feature

saved_views = Feature(
    name="saved_views",
    summary="Saved views of the admin's lists.",
    requires=("admin",),
    admin_extension="opportune.contrib.saved_views.extension.SavedViewsExtension",
)
