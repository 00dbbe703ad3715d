from app.contacts.models import Contact
from opportune.admin import AdminView


class ContactAdmin(AdminView, model=Contact):
    columns = ("id", "name", "email", "phone", "team_id")
    search = ("name", "email", "notes")
    filters = ("team_id",)
    icon, category = "ti ti-address-book", "Contacts"
