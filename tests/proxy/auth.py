"""Who may use the proxy under test: LiteLLM's `general_settings.custom_auth`, without a database.

Copied beside the proxy's config, and run in its process.
"""

from typing import Any

from fastapi import HTTPException
from litellm import BudgetExceededError
from litellm.proxy._types import ProxyException, UserAPIKeyAuth

BLUE = {
    "api_key": "hash-of-blue-key",
    "key_alias": "blue-key",
    "team_id": "team-blue",
    "team_alias": "Blue",
    "org_id": "org-1",
    "user_id": "ada",
    "end_user_id": "customer-7",
    "project_id": "project-9",
    "metadata": {"tags": ["from-key"]},
    "team_metadata": {},
}


async def authenticate(request: Any, api_key: str) -> UserAPIKeyAuth:
    """Each key has its own fate."""
    if api_key.startswith("sk-team-blue"):
        return UserAPIKeyAuth(**BLUE)
    if api_key.startswith("sk-limited"):
        return UserAPIKeyAuth(**{**BLUE, "api_key": "hash-of-limited-key", "rpm_limit": 1})
    if api_key.startswith("sk-broke"):
        raise BudgetExceededError(current_cost=2.0, max_budget=1.0)
    if api_key.startswith("sk-refused"):
        raise ProxyException("no such key", "auth_error", "key", 401)
    raise HTTPException(401, "who are you?")
