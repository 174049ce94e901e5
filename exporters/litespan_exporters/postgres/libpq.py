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


def place_of(dsn: str) -> str | None:
    """Host, port and database, without credentials; None for an invalid address."""
    try:
        from psycopg import conninfo
    except ImportError:
        return ""  # `turn_on` reports this
    try:
        parts = conninfo.conninfo_to_dict(dsn)
    except Exception:  # noqa: BLE001 - the message can contain the password
        return None
    host, port = (
        str(parts.get(name) or default).partition(",")[0]
        for name, default in (("host", "localhost"), ("port", "5432"))
    )
    if not port.isdigit():
        return None
    host = f"[{host}]" if ":" in host else host
    return f"postgresql://{host}:{port}/{parts.get('dbname') or ''}"
