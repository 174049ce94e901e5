"""Finds the exporters that the environment variables of a program already configure.

`litespan run` and `litespan.start()` use them if no exporter is named. Alert destinations and
databases of the application (DATABASE_URL, SUPABASE_URL) are left out: they may be there for
something else, so they must be named.
"""

from collections.abc import Mapping
from typing import Final

from litespan.variables import otlp_endpoint

CREDENTIALS: Final[Mapping[str, tuple[str, ...]]] = {
    "athina": ("ATHINA_API_KEY",),
    "datadog": ("DD_API_KEY",),
    "helicone": ("HELICONE_API_KEY",),
    "langfuse": ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"),
    "logfire": ("LOGFIRE_TOKEN",),
    "loki": ("LOKI_URL",),
    "lunary": ("LUNARY_PUBLIC_KEY",),
    "posthog": ("POSTHOG_API_KEY",),
    "sentry": ("SENTRY_DSN",),
    "traceloop": ("TRACELOOP_API_KEY",),
    "azure_storage": ("LITESPAN_AZURE",),
    "csv": ("LITESPAN_CSV",),
    "duckdb": ("LITESPAN_DUCKDB",),
    "gcs_bucket": ("LITESPAN_GCS",),
    "generic_api": ("LITESPAN_GENERIC_API_URL",),
    "jsonl": ("LITESPAN_JSONL",),
    "mongodb": ("LITESPAN_MONGODB",),
    "parquet": ("LITESPAN_PARQUET",),
    "postgres": ("LITESPAN_POSTGRES",),
    "s3": ("LITESPAN_S3",),
    "webhook": ("LITESPAN_WEBHOOK_URL",),
}
"""Exporter → the variables that must be set to use it unasked."""


def detect(environ: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """(names of the configured exporters, one message for each that is configured in part)."""
    names, lines = [], []
    for name, variables in CREDENTIALS.items():
        missing = [each for each in variables if not environ.get(each, "").strip()]
        if not missing:
            names.append(name)
        elif len(missing) < len(variables):
            there = next(each for each in variables if each not in missing)
            lines.append(
                f"{there} is set but {missing[0]} is not, so nothing is sent to {name}: set "
                f"{missing[0]}, too"
            )
    if otlp_endpoint(environ, "traces"):
        names.insert(0, "otlp")
    return names, lines
