from bench.peers.ours.entries import Entry
from opportune.admin import AdminView


class EntryAdmin(AdminView, model=Entry):
    columns = ("id", "title", "done", "created_at")
    search = ("title", "note")
    filters = ("done", "created_at")
