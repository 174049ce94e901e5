"""Finds variables that look like settings but that nothing reads."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from litespan.errors import did_you_mean
from litespan.settings import Settings

_PREFIX: Final = "LITESPAN_"
_OTHERS: Final = (
    *("ALERTS_STATE", "ALLOW_HTTP", "AZURE", "AZURE_FORMAT", "AZURE_INTERVAL"),
    *("CSV", "CSV_ROTATE", "DUCKDB", "GCS", "GCS_FORMAT", "GCS_INTERVAL"),
    *("GENERIC_API_HEADERS", "GENERIC_API_SECRET", "GENERIC_API_URL", "JSONL", "JSONL_ROTATE"),
    *("LANGFUSE_OTHER_SPANS", "LOKI_STAGES", "MONGODB", "MONGODB_COLLECTION", "PARQUET"),
    *("PARQUET_INTERVAL", "POSTGRES", "POSTGRES_TABLE", "POSTHOG_ROUTE", "RUN", "S3", "S3_FORMAT"),
    *("S3_INTERVAL", "SQLITE", "UI_TOKEN", "UI_TRACE_URL", "WEBHOOK_SECRET", "WEBHOOK_URL"),
)
"""Variables that exporters and commands read, without the prefix. Alerts have many of their own."""
_ALERTS: Final = "LITESPAN_ALERTS_"


def unknown(env: Mapping[str, str]) -> list[str]:
    """One message for each variable that begins with LITESPAN_ and that nothing reads."""
    settings = (row.metadata["env"].removeprefix(_PREFIX) for row in fields(Settings))
    known = [*settings, *_OTHERS]
    lines = []
    for name in sorted(env):
        own = name.removeprefix(_PREFIX)
        alerts = name.startswith(_ALERTS) or name.endswith("_ALERTS")
        if own != name and own not in known and not alerts:
            guess = did_you_mean(own, known, _PREFIX) or " (see docs/settings.md)"
            lines.append(f"{name} is not a setting of litespan, so it has no effect{guess}")
    return lines
