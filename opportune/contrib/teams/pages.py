"""Pages of teams: list, members, invitations, settings."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.dependencies import AccountCtx, AccountOwner, CurrentUser, OptionalUser
from opportune.accounts.models import User
from opportune.accounts.reauthentication import reauthenticated
from opportune.accounts.responses import PRIVATE_HEADERS, redirect_with_error, redirect_with_message, show_errors_in
from opportune.accounts.sign_in_redirects import find_return_path
from opportune.config.email_domains import normalize_email
from opportune.contrib.teams import invitations, memberships, schemas, service
from opportune.contrib.teams.dependencies import TEAMS_PATH, get_user_teams
from opportune.contrib.teams.models import TeamRole
from opportune.contrib.teams.user_teams import read_teams
from opportune.db.models.row_ids import RowId
from opportune.db.sessions.dependencies import DatabaseDependency, ReadSession, WriteSession
from opportune.db.sessions.session import undo_changes
from opportune.errors import FieldErrors, NotFound
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.schemas import Schema
from opportune.web.forms.forms import Form, read_form
from opportune.web.redirects import safe_redirect_path
from opportune.web.rendering.templates import templates
from opportune.web.routing.api_router import APIRouter

HAND_OVER_PREFIX, DELETE_PREFIX = "hand-over-", "delete-"
"""Prefixes of element ids, because both forms have a password field."""
WRONG_NAME = _l("Please enter the name of this team.")

router = APIRouter(prefix=TEAMS_PATH, dependencies=[Depends(get_user_teams)])


@router.get("")
async def list_teams(request: Request, user: CurrentUser, session: ReadSession) -> Response:
    context = {
        "mine": await read_teams(session, user),
        "invitations": await invitations.find_own_invitations(session, user),
        "next": safe_redirect_path(request.query_params.get("next"), TEAMS_PATH),
    }
    return templates.render(request, "teams/list.html", context)


@router.get("/switcher")
async def switcher(request: Request, _user: CurrentUser) -> Response:
    """Render the team menu, for pages that have not loaded the teams."""
    context = {"shown_path": find_return_path(request).partition("?")[0]}
    page = templates.render(request, "teams/fetched_switcher.html", context)
    page.headers.update(PRIVATE_HEADERS)
    return page


@router.post("/personal/switch")
async def switch_to_personal(request: Request, user: CurrentUser, session: WriteSession) -> Response:
    next_path = safe_redirect_path((await read_form(request, Schema)).value("next"), TEAMS_PATH)
    await service.switch_to_personal(session, user)
    return redirect_with_message(request, next_path, "You have switched to “Personal”.")


@router.get("/new")
async def create_form(request: Request, _user: CurrentUser) -> Response:
    return _render_new_team(request, Form(schemas.TeamCreate))


@router.post("/new")
async def create(request: Request, user: CurrentUser, session: WriteSession) -> Response:
    form = await read_form(request, schemas.TeamCreate)
    if team := await form.save(lambda new: service.create_team(session, user, new), session):
        message = gettext("You have created “%(team)s” and are its owner.", team=team.name)
        return redirect_with_message(request, safe_redirect_path(form.value("next"), _path(team.id)), message)
    return _render_new_team(request, form)


def _render_new_team(request: Request, form: Form[schemas.TeamCreate]) -> Response:
    next_path = safe_redirect_path(form.value("next") or request.query_params.get("next"), "")
    return templates.render(request, "teams/create.html", {"form": form, "next": next_path}, form.status)


# Invitations for their recipients. GET changes nothing, because e-mail programs open links automatically.


@router.get("/invitation")
async def show_invitation(request: Request, user: OptionalUser, session: ReadSession, token: str = "") -> Response:
    """Show the invitation of a link. A user without its verified address gets an explanation."""
    link = await invitations.read_link(session, token)
    if link is None:
        response = templates.render(request, "teams/no_invitation.html", {}, 410)
    else:
        invitation, team = link
        is_recipient = user is not None and normalize_email(user.email) == invitation.email
        context = {"invitation": invitation, "team": team, "is_recipient": is_recipient, "token": token}
        status = 403 if user and not (is_recipient and user.is_verified) else 200
        response = templates.render(request, "teams/invitation.html", context, status)
    response.headers.update(PRIVATE_HEADERS)
    return response


@router.post("/invitations/{invitation_id}/accept")
async def accept(request: Request, invitation_id: RowId, user: AccountOwner, session: WriteSession) -> Response:
    try:
        team = await invitations.accept(session, invitation_id, user)
    except NotFound:
        return templates.render(request, "teams/no_invitation.html", {}, 404)
    except FieldErrors as refusal:
        return await _refuse(request, session, TEAMS_PATH, refusal)
    return redirect_with_message(request, _path(team.id), gettext("Welcome to “%(team)s”.", team=team.name))


@router.post("/invitations/{invitation_id}/decline")
async def decline(request: Request, invitation_id: RowId, user: CurrentUser, session: WriteSession) -> Response:
    await invitations.decline(session, invitation_id, user)
    return redirect_with_message(request, TEAMS_PATH, "You have declined the invitation.")


# One team


@router.get("/{team_id}")
async def members(
    request: Request,
    team_id: RowId,
    user: CurrentUser,
    session: ReadSession,
    query: Annotated[schemas.MemberFilter, Query()],
) -> Response:
    membership = await service.open_team(session, team_id, user)
    context = {
        "page": await memberships.find_members(session, team_id, user, query),
        "query": query,
        "filter": Form(schemas.MemberFilter, query, is_filter=True),
        "roles": [role for role in TeamRole if membership.member.role.includes(role)],
    }
    return _render(request, "members", membership, **context)


@router.post("/{team_id}/switch")
async def switch(request: Request, team_id: RowId, user: CurrentUser, session: WriteSession) -> Response:
    next_path = safe_redirect_path((await read_form(request, Schema)).value("next"), _path(team_id))
    team = await service.switch_team(session, team_id, user)
    return redirect_with_message(request, next_path, gettext("You have switched to “%(team)s”.", team=team.name))


@router.post("/{team_id}/members/{member_id}/role")
async def update_member(
    request: Request, team_id: RowId, member_id: RowId, user: AccountOwner, session: WriteSession
) -> Response:
    form = await read_form(request, schemas.MemberUpdate)
    if form.data is None:
        await service.open_team(session, team_id, user, TeamRole.ADMIN)
        return redirect_with_message(request, _path(team_id), "This role does not exist.", "danger")
    try:
        await memberships.update_role(session, team_id, user, member_id, form.data.role)
    except FieldErrors as refusal:
        return await _refuse(request, session, _path(team_id), refusal)
    return redirect_with_message(request, _path(team_id), "The role is changed.")


@router.post("/{team_id}/members/{member_id}/remove")
async def delete_member(
    request: Request, team_id: RowId, member_id: RowId, user: CurrentUser, session: WriteSession
) -> Response:
    try:
        await memberships.delete_member(session, team_id, user, member_id)
    except FieldErrors as refusal:
        return await _refuse(request, session, _path(team_id), refusal)
    return redirect_with_message(request, _path(team_id), "The member is removed.")


@router.post("/{team_id}/leave")
async def leave(request: Request, team_id: RowId, user: CurrentUser, session: WriteSession) -> Response:
    try:
        team = await memberships.leave_team(session, team_id, user)
    except FieldErrors as refusal:
        return await _refuse(request, session, _path(team_id), refusal)
    return redirect_with_message(request, TEAMS_PATH, gettext("You have left “%(team)s”.", team=team.name))


@router.get("/{team_id}/invitations")
async def list_invitations(request: Request, team_id: RowId, user: CurrentUser, session: ReadSession) -> Response:
    return await _show_invitations(request, session, team_id, user, Form(schemas.InvitationCreate))


@router.post("/{team_id}/invitations")
async def invite(request: Request, team_id: RowId, user: AccountOwner, context: AccountCtx) -> Response:
    form = await read_form(request, schemas.InvitationCreate)
    # Check the team before counting requests for the rate limits.
    await service.open_team(context.session, team_id, user, TeamRole.ADMIN)
    if form.data:
        async with show_errors_in(form, context.session):
            invitation = await invitations.invite_by_email(context, team_id, user, form.data)
            message = gettext("%(email)s is invited.", email=invitation.email)
            return redirect_with_message(request, f"{_path(team_id)}/invitations", message)
    response = await _show_invitations(request, context.session, team_id, user, form)
    response.headers.update(form.headers)
    return response


@router.post("/{team_id}/invitations/{invitation_id}/withdraw")
async def withdraw(
    request: Request, team_id: RowId, invitation_id: RowId, user: CurrentUser, session: WriteSession
) -> Response:
    await invitations.withdraw(session, team_id, user, invitation_id)
    return redirect_with_message(request, f"{_path(team_id)}/invitations", "The invitation is withdrawn.")


@router.get("/{team_id}/settings")
async def settings(request: Request, team_id: RowId, user: CurrentUser, session: ReadSession) -> Response:
    return await _show_settings(request, session, team_id, user)


@router.post("/{team_id}/settings")
async def rename(request: Request, team_id: RowId, user: CurrentUser, session: WriteSession) -> Response:
    form = await read_form(request, schemas.TeamUpdate)
    if await form.save(lambda changed: service.rename_team(session, team_id, user, changed.name), session):
        return redirect_with_message(request, f"{_path(team_id)}/settings", "The name is saved.")
    return await _show_settings(request, session, team_id, user, rename=form)


@router.post("/{team_id}/hand-over")
async def hand_over(request: Request, team_id: RowId, user: AccountOwner, context: AccountCtx) -> Response:
    form = await read_form(request, schemas.TeamHandOver, prefix=HAND_OVER_PREFIX)
    await service.open_team(context.session, team_id, user, TeamRole.OWNER)
    await context.session.commit()  # failed attempts are counted in another transaction
    if data := await reauthenticated(context, user, form):
        async with show_errors_in(form, context.session):
            owner = await invitations.hand_over_team(context, team_id, user, data.email)
            message = gettext("%(email)s is the owner now, and you are an admin.", email=owner.email)
            return redirect_with_message(request, _path(team_id), message)
    return await _show_settings(request, context.session, team_id, user, hand_over=form)


@router.post("/{team_id}/delete")
async def delete(
    request: Request, team_id: RowId, user: CurrentUser, database: DatabaseDependency, context: AccountCtx
) -> Response:
    form = await read_form(request, schemas.TeamDeletion, prefix=DELETE_PREFIX)
    name = (await service.open_team(context.session, team_id, user, TeamRole.OWNER)).team.name
    await context.session.commit()
    if form.data and form.data.name != name:
        form.refuse(WRONG_NAME, "name")
    if await reauthenticated(context, user, form):
        await context.session.commit()  # do not block other writes
        async with show_errors_in(form, context.session):
            await service.delete_team(context.session, database, team_id, user)
            return redirect_with_message(request, TEAMS_PATH, gettext("“%(name)s” is deleted.", name=name))
    return await _show_settings(request, context.session, team_id, user, delete=form)


async def _show_invitations(
    request: Request, session: AsyncSession, team_id: int, user: User, form: Form[schemas.InvitationCreate]
) -> Response:
    membership = await service.open_team(session, team_id, user, TeamRole.ADMIN)
    allowed = (role for role in reversed(TeamRole) if membership.member.role.includes(role))
    form.offer({"role": {role.value: role.label for role in allowed}})
    open_invitations = await invitations.find_invitations(session, team_id)
    return _render(request, "invitations", membership, form.status, form=form, invitations=open_invitations)


async def _show_settings(
    request: Request, session: AsyncSession, team_id: int, user: User, **submitted: Form[Any]
) -> Response:
    membership = await service.open_team(session, team_id, user)
    forms: dict[str, Form[Any]] = {
        "rename": Form(schemas.TeamUpdate, membership.team),
        "hand_over": Form(schemas.TeamHandOver, prefix=HAND_OVER_PREFIX),
        "delete": Form(schemas.TeamDeletion, prefix=DELETE_PREFIX),
    }
    status = max((form.status for form in submitted.values()), default=200)
    return _render(request, "settings", membership, status, **forms | submitted)


def _render(
    request: Request, page: str, membership: service.TeamMembership, status: int = 200, /, **context: Any
) -> Response:
    context |= {"team": membership.team, "me": membership.member}
    return templates.render(request, f"teams/{page}.html", context, status)


def _path(team_id: int) -> str:
    return f"{TEAMS_PATH}/{team_id}"


async def _refuse(request: Request, session: AsyncSession, path: str, refusal: FieldErrors) -> Response:
    """Undo the changes of this request, and redirect to a page that shows the reason."""
    await undo_changes(session)
    return redirect_with_error(request, path, refusal)
