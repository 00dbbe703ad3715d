from bench.peers.ours.feature import Item
from opportune.admin import AdminView


class ItemAdmin(AdminView, model=Item):
    column_list = ("id", "title", "done", "created_at")
    column_searchable_list = ("title", "note")
    column_filters = ("done", "created_at")


class EditableItemAdmin(ItemAdmin, model=Item):
    name_plural = "Editable items"
    column_editable = ("title", "done")


EditableItemAdmin.identity = "editable-item"  # SQLAdmin sets the name of the model when the class is created
