"""Invalid URLs, each with a part of its error message."""

SECRET = "opensesame"  # password in these URLs, which no message may contain

MALFORMED = (
    ("   ", "is empty"),
    ("hello", "is not a database address"),
    ("${{Postgres.DATABASE_URL}}", "a reference that was not replaced"),
    ("host=localhost dbname=site password=opensesame", "a list of names and values"),
    ("mysql://me:opensesame@h/d", "begins with mysql:// and is a URL of another database"),
    ("mongodb+srv://me:opensesame@h/d", "is a URL of another database"),
    ("http://me:opensesame@h", "is a web address"),
    ("potsgres://me:opensesame@h/d", "the unknown scheme 'potsgres'"),
    ("postgres:me:opensesame@h/d", "lacks the two slashes"),
    ("sqlite:data/app.db", "lacks the two slashes"),
    ("sqlite://", "has no file"),
    ("sqlite:///", "has no file"),
    ("sqlite+memory://", "has no file"),
    ("sqlite://data/app.db", "needs a third slash"),
    ("sqlite:///data/", "no plain path of a file"),
    ("sqlite:///file:app.db?uri=true", "no plain path of a file"),
    ("sqlite:///~nobody-of-this-name/app.db", "a path that does not exist"),
    ("postgresql://", "has no host"),
    ("postgresql://me:opensesame@/d", "has no host"),
    ("postgresql://me:opensesame@h:port/d", "a port that is not a number"),
    ("postgresql://me:opensesame@h:0/d", "has the port 0"),
    ("postgresql://me:opensesame@h/d?port=soon", "a port that is not a number"),
    ("postgresql://me:opensesame@h1:1,,h2:2/d", "an empty entry in its list of hosts"),
    ("postgresql://me:opensesame@h1,h2,h3/d?port=1,2", "a different number of ports"),
    ("postgresql://me:opensesame@a..b/d", "neither a name nor an IP address"),
    ("postgresql://me:opensesame@h h/d", "contains a space"),
    ("postgresql://me:open\nsesame@h/d", "a line break or another control character"),
    ("postgresql://me:opensesame%00@h/d", "a NUL character"),
    ("postgresql://me:opensesame%FF@h/d", "not in UTF-8"),
    ("postgresql://me:open/sesame@h/d?x@h/d", "is ambiguous"),
    ("postgresql://me:[YOUR-PASSWORD]@h/d", "a placeholder such as [YOUR-PASSWORD]"),
    ("postgresql://me:${DB_PASSWORD}@h/d", "a placeholder such as [YOUR-PASSWORD]"),
    ("postgresql://me:****************@h/d", "a placeholder such as [YOUR-PASSWORD] or stars"),
    ("postgresql://postgres.[YOUR-PROJECT-REF]:opensesame@h/d", "the placeholder [YOUR-PROJECT-REF]"),
    ("postgresql://me:opensesame@aws-0-[REGION].pooler.supabase.com/d", "a placeholder in brackets"),
    ("postgresql://me:opensesame@h/d?sslmode=bogus", "an unknown sslmode"),
    ("postgresql://me:opensesame@h/d?sslmode=require&sslrootcert=system", "only with sslmode=verify-full"),
    ("postgresql://me:opensesame@h/d?sslmod=require", "Did you mean sslmode?"),
    ("postgresql://me:opensesame@h/d?colour=red", "the option 'colour'"),
    ("postgresql://me:opensesame@h/d?a%20b=1", "an option that PostgreSQL does not know"),
)
"""URLs that the parser refuses. Braces belong to the URLs."""

UNREACHABLE = (
    ("postgresql://me:opensesame@127.0.0.1:{closed}/d", "No server responds at 127.0.0.1:{closed}"),
    ("postgresql://me:opensesame@nowhere.invalid/d", "host of nowhere.invalid:5432 is unknown"),
    ("postgresql://me:opensesame@/d?host={folder}/nosuch", "No server responds at {folder}/nosuch"),
    ("postgresql://me:opensesame@127.0.0.1:{talker}/d?sslmode=require", "is not PostgreSQL"),
    ("postgresql://postgres:opensesame@127.0.0.1:{server}/postgres", "refuses the password of user 'postgres'"),
    ("postgresql://postgres@127.0.0.1:{server}/postgres", "requires a password for user 'postgres'"),
    ("{address}nosuch", "has no database 'nosuch'"),
    ("{address}postgres?sslmode=require", "does not support TLS"),
    ("{address}postgres?connect_timeout=soon", "has a value that libpq does not accept"),
    ("sqlite:///{folder}/letter.txt", "is not a SQLite database"),
    ("sqlite:///{folder}", "{folder}"),
)
"""URLs that fail to connect. Placeholders: `closed` is a free port, `talker` the port of another server, `server` and
`address` the port and URL (up to the last slash) of a PostgreSQL server, `folder` contains `letter.txt`."""
