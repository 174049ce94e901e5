"""The pages on attributes have exactly the names in the code."""

import re
from pathlib import Path

from litespan import semconv

DOCS = Path(__file__).parents[2] / "docs"
# What spans, metrics and events of ours do not carry: scope, resource, prefixes, and what
# single vendors' copies have besides.
APART = {
    "SCOPE",
    "SCHEMA_URL",
    "COST_PREFIX",
    "METADATA_PREFIX",
    "HTTP_HEADER_PREFIX",
    "REQUEST_BODY_PREFIX",
    "MODEL_INFO_PREFIX",
    "STAGE_PREFIX",
    "TOTAL_TOKENS",
    "DATADOG_COST",
    "SERVICE_NAME",
    "SERVICE_VERSION",
    "ENVIRONMENT",
    "ENVIRONMENT_OLD",
}


def documented() -> set[str]:
    """Every name in code type on the pages on attributes and on versions of the conventions."""
    pages = ("attributes.md", "conventions.md")
    return {
        name for page in pages for name in re.findall(r"`([^`\s]+)`", (DOCS / page).read_text())
    }


def test_every_attribute_is_documented() -> None:
    """Every name that litespan writes is on a page."""
    names = {
        value
        for name, value in vars(semconv).items()
        if name.isupper()
        and isinstance(value, str)
        and name not in APART
        and not name.startswith("FOR_")  # on single services' copies: see their pages
    }
    names -= {semconv.ROUTER_SPAN, semconv.SESSION_SPAN, semconv.GUARDRAIL_SPAN}
    assert names - documented() == set()


def test_every_documented_attribute_exists() -> None:
    """Every name on a page is one that litespan knows."""
    known = {value for value in vars(semconv).values() if isinstance(value, str)}
    named = {
        name
        for name in documented()
        if re.fullmatch(r"(gen_ai|litellm|openai|server|user|session|error)\.[a-z_.]+", name)
    }
    assert named - known == set()
