"""Rate limits.

    ORDERS = RateLimit("books.order", 60, HOUR_SECONDS)

`Depends(ORDERS)` counts the requests of each client address. `await limiter.hit(ORDERS.by(user.id))` counts a user.
"""

from opportune.web.rate_limit.limit import HOUR_SECONDS, Hit, RateLimit, TooManyRequests
from opportune.web.rate_limit.limiter import Limiter, RateLimiter, RateLimitStorage

__all__ = ["HOUR_SECONDS", "Hit", "Limiter", "RateLimit", "RateLimitStorage", "RateLimiter", "TooManyRequests"]
