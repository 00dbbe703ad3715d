from app.contacts.models import Contact
from opportune.admin import AdminView


class ContactAdmin(AdminView, model=Contact):
    column_list = ("id", "name", "email", "phone", "team_id")
    column_searchable_list = ("name", "email", "notes")
    column_filters = ("team_id",)
    icon, category = "ti ti-address-book", "Contacts"
