from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import ApiToken
from opportune.contrib.mcp.oauth.models import McpClient, McpGrant
from opportune.db.hooks.registry import before_delete


@before_delete(McpClient)
async def delete_tokens_of_program(session: AsyncSession, client: McpClient) -> None:
    """Delete the tokens of a deleted program."""
    tokens = select(col(McpGrant.token_id)).where(col(McpGrant.client_id) == client.id)
    await session.execute(delete(ApiToken).where(col(ApiToken.id).in_(tokens)))
