"""An exception of a call → `error.type`, its HTTP status, and a text that may leave."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from litespan.mapping.request import Request
from litespan.mapping.values import as_int
from litespan.redaction.text import scrub_error

_CUT_OFF: Final = "Stream ended before a finish_reason was received"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call failed, as it may be told.

    Attributes:
        type: the exception's class name, or `stream_dropped`.
        message: the provider's text: secrets and echoes of content masked, at most 1 KB.
        code: the HTTP status that the provider answered with, if it did.
        error: the exception itself; never leaves the process.
    """

    type: str
    message: str
    code: int | None = None
    error: BaseException | None = None


def read_failure(request: Request, error: BaseException, content: Iterable[str] | None) -> Failure:
    """What may be told of `error`. `content` is the request's text, None where it is recorded."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception whose __str__ raises is not ours to judge
        text = ""
    return Failure(
        type=type(error).__name__,
        message=scrub_error(text, request.arguments, content),
        code=http_status(error),
        error=error,
    )


def is_cut_off(error: BaseException | None) -> bool:
    """Whether LiteLLM says by `error`, as it does since 1.110, that a stream just ended."""
    return _CUT_OFF in str(error)


def http_status(error: Any) -> int | None:
    """The status of the provider's HTTP answer; None where there was no answer.

    LiteLLM gives a status, and a made-up response, to errors that had none, such as a refused
    connection or an argument that it does not take: only headers speak for the provider.
    """
    return as_int(getattr(error, "status_code", None)) if answer_headers(error) else None


def answer_headers(error: Any) -> Mapping[str, str]:
    """The headers of the provider's HTTP answer; none where there was no answer."""
    response = getattr(error, "response", None)
    headers = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None)
    return headers if isinstance(headers, Mapping) else {}
