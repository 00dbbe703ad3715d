"""Views of accounts in the admin, in the order of the menu."""

from opportune.accounts.admin.credentials import LinkedAccountAdmin, PasskeyAdmin, SessionAdmin, TokenAdmin
from opportune.accounts.admin.events import EventAdmin
from opportune.accounts.admin.groups import GroupAdmin, MembershipAdmin
from opportune.accounts.admin.users import UserAdmin

VIEWS = (UserAdmin, SessionAdmin, TokenAdmin, LinkedAccountAdmin, PasskeyAdmin, EventAdmin, GroupAdmin, MembershipAdmin)
