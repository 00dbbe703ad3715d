from bench.peers.ours.feature import Item
from opportune.admin import AdminView


class ItemAdmin(AdminView, model=Item):
    columns = ("id", "title", "done", "created_at")
    search = ("title", "note")
    filters = ("done", "created_at")


class EditableItemAdmin(ItemAdmin, model=Item):
    plural = "Editable items"
    editable = ("title", "done")


EditableItemAdmin.identity = "editable-item"  # SQLAdmin sets the name of the model when the class is created
