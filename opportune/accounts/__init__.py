"""Who uses the site, how they prove it, and what they may do.

Whoever signs in goes through `entering`, `sessions` and `bearer`; what comes by mail is in `by_mail`, `letters` and
`links`; what people do with their own account in `own`. `pages` and `api` are the two ways to all of it.
"""
