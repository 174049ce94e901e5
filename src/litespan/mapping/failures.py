"""Converts exceptions to `error.type`, HTTP status and a redacted message."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from litespan.background.deferred import LARGE, Deferred
from litespan.mapping.request import Request
from litespan.objects import as_int, as_text, get, safe_str
from litespan.redaction.echoes import ECHO, TooMuch, sent_texts
from litespan.redaction.text import scrub_error, secrets

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,63}")  # an error code rather than a sentence
_CHAIN: Final = 8  # exceptions, from LiteLLM's to the HTTP client's
# Before the answer in LiteLLM's messages about answers that it could not read or accept.
_ANSWER: Final = re.compile(
    r"(?P<before>received_args=|Original Response: |Received chunk: |from chunk: "
    r"|Received response - |LLM endpoint\. Received: |invalid response=|in the response=).*",
    re.DOTALL,
)
# The start of an error, which a provider may send with status 200.
_ERROR: Final = re.compile(r"""\{\s*["'](?:error["']|type["']:\s*["']\w*error["'])""")
_CUT_OFF: Final = "Stream ended before a finish_reason was received"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call failed, safe to record.

    Attributes:
        type: the exception's class name, the provider's error code, or `stream_dropped`.
        text: the provider's message, or the deferred computation of it.
        code: the HTTP status of the provider's response, if there was one.
        error: the exception itself; it never leaves the process.
    """

    type: str
    text: str | Deferred[str]
    code: int | None = None
    error: BaseException | None = None

    @property
    def message(self) -> str:
        """The provider's message without secrets and quotes of content, at most 1 KB."""
        return self.text if isinstance(self.text, str) else self.text()


def read_failure(request: Request, error: BaseException) -> Failure:
    """Convert an exception."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - of the application
        text = ""
    return Failure(
        type=type(error).__name__,
        text=_safe(without_answer(text, error), request.arguments),
        code=http_status(error),
        error=error,
    )


def without_answer(text: str, error: BaseException) -> str:
    """Remove the answer of the model from a message of LiteLLM."""
    known = _ANSWER.sub(rf"\g<before>{ECHO}", text)
    if known == text and _success_status(error) is not None:
        exception, dash, body = text.partition(" - ")
        return text if _ERROR.match(body) else f"{exception}{dash}{ECHO}"
    return known


def stated_failure(request: Request, error: Any) -> Failure:
    """Convert a provider's error object, or an error text, from an answer or stream.

    The error code is in `code` (OpenAI), `type` (Anthropic) or `status` (Google).
    """
    names = (as_text(get(error, name)) for name in ("code", "type", "status"))
    kind = next(
        (name for name in names if name and name != "error" and _NAME.fullmatch(name)), None
    )
    code = as_int(get(error, "code"))
    text = error if isinstance(error, str) else as_text(get(error, "message")) or ""
    return Failure(
        type=kind or "provider_error",
        text=_safe(text, request.arguments),
        code=code if code is not None and 400 <= code < 600 else None,
    )


def _safe(text: str, arguments: Mapping[str, Any]) -> str | Deferred[str]:
    """Return an error message without quotes of the request; deferred if that is large."""
    try:
        sent = [*sent_texts(arguments)]
    except TooMuch:
        return ECHO if text else text
    size = sum(map(len, sent))
    scrubbed = partial(scrub_error, text, [*secrets(arguments)], sent)
    return scrubbed() if size < LARGE else Deferred(scrubbed, size)


def is_cut_off(error: BaseException | None) -> bool:
    """Whether LiteLLM (since 1.110) raised `error` because a stream had no finish reason."""
    return _CUT_OFF in safe_str(error)


def http_status(error: Any) -> int | None:
    """Return the status of the provider's HTTP response; None if there was no response.

    LiteLLM invents a status and a response for errors without one, such as a refused connection,
    so only response headers prove that the provider answered. LiteLLM also changes some statuses,
    such as Anthropic's 529 to 500: the original is in the HTTP client's exception, the cause of
    LiteLLM's.
    """
    if not answer_headers(error):
        return None
    cause: BaseException | None = error
    for _ in range(_CHAIN):
        response = _attribute(cause, "response")
        if _attribute(response, "headers"):
            status = as_int(_attribute(response, "status_code"))
            if status is not None:
                return status
        cause = _cause(cause)
    return _success_status(error) or as_int(_attribute(error, "status_code"))


def _attribute(holder: Any, name: str) -> Any:
    """Return an attribute, or None if it does not exist or raises, as the application's can."""
    try:
        return getattr(holder, name, None)
    except Exception:  # noqa: BLE001
        return None


def _cause(error: BaseException | None) -> BaseException | None:
    """Return the exception behind `error`; an exception may be false, or raise if it is asked."""
    cause = getattr(error, "__cause__", None)
    return getattr(error, "__context__", None) if cause is None else cause


def _success_status(error: BaseException) -> int | None:
    """Return the status of an answer that was no error, but that LiteLLM could not read."""
    for each in (error, _cause(error)):
        status = as_int(_attribute(each, "status_code"))
        if status is not None and 200 <= status < 300:
            return status
    return None


def answer_headers(error: Any) -> Mapping[str, str]:
    """Return the headers of the provider's HTTP response; empty if there was no response."""
    headers = (
        _attribute(error, "litellm_response_headers")
        or _attribute(_attribute(error, "response"), "headers")
        or _attribute(error, "headers")
    )
    return headers if isinstance(headers, Mapping) else {}
