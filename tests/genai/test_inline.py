"""Inline data in content becomes a hash, whatever its type."""

import hashlib
from typing import Any

import pytest

from litespan.genai.inline import referenced


@pytest.mark.parametrize("data", [10**15, -1, None, 1.5, ["a"], {"a": 1}])
def test_a_blob_that_is_no_data_is_hashed_as_text(data: Any) -> None:
    """`bytes` of a number would allocate that many, and of other types raise."""
    expected = f"sha256:{hashlib.sha256(str(data).encode()).hexdigest()}"
    assert referenced({"type": "blob", "content": data})["uri"] == expected
