"""Rate limits.

    ORDERS = RateLimit("books.order", 60, HOUR_SECONDS)

`Depends(ORDERS)` counts the requests of each client address. `await limiter.hit(ORDERS.by(user.id))` counts a user.
"""

from opportune.web.rate_limit.limiter import (
    HOUR_SECONDS,
    Hit,
    Limiter,
    RateLimit,
    RateLimiter,
    RateLimitStorage,
    TooManyRequests,
)

__all__ = ["HOUR_SECONDS", "Hit", "Limiter", "RateLimit", "RateLimitStorage", "RateLimiter", "TooManyRequests"]
