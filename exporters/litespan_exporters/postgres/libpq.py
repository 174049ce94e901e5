"""PostgreSQL URLs for libpq."""

from urllib.parse import parse_qsl, urlencode, urlsplit


def for_libpq(dsn: str) -> str:
    """Convert a URL of other tools (SQLAlchemy, Prisma) for libpq."""
    if "://" not in dsn:
        return dsn
    try:
        from psycopg.pq import Conninfo

        parts = urlsplit(dsn)
        known = {option.keyword.decode() for option in Conninfo.get_defaults()}
        query = [(name, value) for name, value in parse_qsl(parts.query) if name in known]
    except (ImportError, ValueError):
        return dsn
    # Not urlunsplit, which drops the slashes of a URL without a host (for a socket).
    url = f"{parts.scheme.partition('+')[0]}://{parts.netloc}{parts.path}"
    return f"{url}?{urlencode(query)}" if query else url
