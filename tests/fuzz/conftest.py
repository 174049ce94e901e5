"""The same few examples in each run; `TEST_FUZZ=N` runs N random ones per test, as `make soak`."""

import os

from hypothesis import HealthCheck, settings

from tests.support.exporters import fresh_exporters

__all__ = ["fresh_exporters"]

LONG = int(os.environ.get("TEST_FUZZ", "0"))

settings.register_profile(
    "litespan",
    max_examples=LONG or 20,
    derandomize=not LONG,
    database=None,
    deadline=None,  # other processes use the machine, too
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("litespan")
