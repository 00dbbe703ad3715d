"""Small messages between all processes of a site, through Redis or PostgreSQL's LISTEN and NOTIFY."""

from opportune.db.bus.base import Bus, MemoryBus

__all__ = ["Bus", "MemoryBus"]
