"""Acme: one record per call (https://docs.acme.example/api)."""

from typing import Any, ClassVar

from litespan.export import JSON, GenAISpan, HttpExporter, Item, Variables, dumps


def to_record(span: GenAISpan) -> JSON:
    """The call as Acme accepts it. Pure."""
    return {
        "id": str(span.key),
        "model": span.request.model,
        "input_tokens": span.usage.input,
        "user": span.identity.user,
        "input": [message.to_json() for message in span.input_messages or ()],
    }


class AcmeExporter(HttpExporter):
    """Sends model calls to Acme.

    Reads ACME_API_KEY, ACME_BASE_URL.
    """

    name: ClassVar[str] = "acme"
    variables = Variables(
        keys=("ACME_API_KEY",), url=("ACME_BASE_URL",), default_url="https://api.acme.example"
    )

    def __init__(
        self, api_key: str | None = None, base_url: str | None = None, **limits: Any
    ) -> None:
        """Arguments take precedence over the environment.

        Args:
            api_key: default ACME_API_KEY.
            base_url: default ACME_BASE_URL, else https://api.acme.example.
            limits: fields of `Policy`.
        """
        super().__init__(**limits)
        keys, base = self.credentials(api_key), self.base_url(base_url)
        if keys and base:
            self.connect(f"{base}/v1/calls", {"X-Api-Key": keys[0]})

    def item(self, span: GenAISpan) -> Item | None:
        """One record per call; tools and agents have none."""
        return Item(str(span.key), dumps(to_record(span))) if span.is_call else None
