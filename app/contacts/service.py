from app.contacts.models import Contact
from opportune.crud import Crud


class Contacts(Crud[Contact]):
    """Contacts of the user's current team. Rows of other teams are not found."""

    team_column = "team_id"
    search = ("name", "email", "notes")
    sort = ("name", "email")
    order = ("name",)
