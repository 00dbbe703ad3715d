"""How often somebody may do something.

    REGISTRATIONS = RateLimit("events.register", 60, HOUR_SECONDS)

As `Depends(REGISTRATIONS)` it counts the requests of each address; `await limiter.hit(REGISTRATIONS.by(user.id))`
counts whom one likes.
"""

from opportune.web.rate_limit.limit import HOUR_SECONDS, Hit, RateLimit, TooManyRequests
from opportune.web.rate_limit.limiter import Limiter, RateLimiter, RateLimitStorage

__all__ = ["HOUR_SECONDS", "Hit", "Limiter", "RateLimit", "RateLimitStorage", "RateLimiter", "TooManyRequests"]
