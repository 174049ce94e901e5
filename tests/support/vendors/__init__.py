"""The vendors' own rules, on loopback: each answers as its service does, and checks.

An `AssertionError` becomes the vendor's 400 and is kept in `Vendor.wrong`. The rules are
restated from the pages and sources that each class names, as of 2026-11-20.
"""

from tests.support.vendors.athina import Athina
from tests.support.vendors.base import SECRET, Anyone, strict
from tests.support.vendors.datadog import Datadog, DatadogAgent
from tests.support.vendors.helicone import Helicone
from tests.support.vendors.loki import Loki
from tests.support.vendors.lunary import Lunary
from tests.support.vendors.otlp import DatadogOtlp, Langfuse, Logfire, Otlp, Traceloop
from tests.support.vendors.posthog import Posthog
from tests.support.vendors.sentry import Sentry
from tests.support.vendors.supabase import Supabase

__all__ = [
    "SECRET",
    "VENDORS",
    "Anyone",
    "Athina",
    "Datadog",
    "DatadogAgent",
    "DatadogOtlp",
    "Helicone",
    "Langfuse",
    "Logfire",
    "Loki",
    "Lunary",
    "Otlp",
    "Posthog",
    "Sentry",
    "Supabase",
    "Traceloop",
    "strict",
]

VENDORS: dict[str, type[Anyone]] = {
    "helicone": Helicone,
    "langfuse": Langfuse,
    "athina": Athina,
    "datadog": Datadog,
    "datadog_otlp": DatadogOtlp,
    "logfire": Logfire,
    "loki": Loki,
    "lunary": Lunary,
    "posthog": Posthog,
    "sentry": Sentry,
    "supabase": Supabase,
    "traceloop": Traceloop,
}
"""By entry point; who is not here is taken for `Anyone`."""
