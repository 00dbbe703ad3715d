"""How often somebody may do something.

    ORDERS = RateLimit("books.order", 60, HOUR_SECONDS)

As `Depends(ORDERS)` it counts the requests of each address; `await limiter.hit(ORDERS.by(user.id))`
counts whom one likes.
"""

from opportune.web.rate_limit.limit import HOUR_SECONDS, Hit, RateLimit, TooManyRequests
from opportune.web.rate_limit.limiter import Limiter, RateLimiter, RateLimitStorage

__all__ = ["HOUR_SECONDS", "Hit", "Limiter", "RateLimit", "RateLimitStorage", "RateLimiter", "TooManyRequests"]
