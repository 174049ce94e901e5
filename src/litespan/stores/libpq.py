"""PostgreSQL addresses as libpq takes them."""

from urllib.parse import parse_qsl, urlencode, urlsplit


def for_libpq(dsn: str) -> str:
    """A URL as other tools write it (SQLAlchemy, Prisma) as libpq takes it."""
    if "://" not in dsn:
        return dsn
    try:
        from psycopg.pq import Conninfo

        parts = urlsplit(dsn)
        known = {option.keyword.decode() for option in Conninfo.get_defaults()}
        query = [(name, value) for name, value in parse_qsl(parts.query) if name in known]
    except (ImportError, ValueError):
        return dsn
    # Not by urlunsplit, which leaves the slashes of a URL without a host (of a socket) out.
    url = f"{parts.scheme.partition('+')[0]}://{parts.netloc}{parts.path}"
    return f"{url}?{urlencode(query)}" if query else url
