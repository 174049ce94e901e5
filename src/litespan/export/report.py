"""Reports the result of an export: counters, and log messages that say how to fix a loss."""

from collections.abc import Callable, Collection, Sequence

from litespan.counters import count
from litespan.errors import log_once
from litespan.export.client import FORBIDDEN_HOST, HTML, NO_CLIENT
from litespan.export.policy import Tally
from litespan.export.tenant import ALLOW_HOSTS


def explain(cause: str, keys: Sequence[str], urls: Sequence[str], to: str = "") -> str:
    """Explain an HTTP status or transport error, and how to fix it.

    Args:
        cause: the status or error.
        keys: variables of the credentials, if any.
        urls: variables of the URL, if any, first the one that is set.
        to: the service's origin.
    """
    named, where = " and ".join(keys) or "the credentials", urls[0] if urls else "the URL"
    common = {
        "401": f"unauthorized: check {named}",
        "403": f"forbidden: check {named} and its permissions",
        "404": f"not found: check {where}",
        "413": "too large, even with truncated content",
        FORBIDDEN_HOST: f"not a public https host; the operator may allow it ({ALLOW_HOSTS})",
        "too_large": "too large, even with truncated content",
        "429": "rate limited",
        "error": "an error in litespan, which is logged above",
        HTML: f"a web page answered, not the service: check {where}, and proxies with a login",
        NO_CLIENT: "httpx cannot use the proxy or certificates that are set: check HTTP_PROXY, "
        "HTTPS_PROXY, ALL_PROXY (socks5 needs `pip install 'httpx[socks]'`), SSL_CERT_FILE and "
        "SSL_CERT_DIR",
        "rejected": "rejected by the service",
        "shutdown": "the process ended before they were accepted",
        "timeout": "no answer in time",
    }
    if cause.startswith("3"):
        return f"redirects are not followed: set {where} to the final URL"
    if cause in common or cause.isdigit():
        return common.get(cause, "HTTP error")
    return f"no connection to {to or 'the service'}: check that it runs, and {where}"


def report(
    name: str,
    tally: Tally,
    unit: str,
    explained: Callable[[str], str],
    kept: Collection[str] = (),
    title: str = "",
) -> None:
    """Count the items of an export, and log each cause of a loss once.

    Args:
        name: the exporter.
        tally: the result of the export.
        unit: the word for items.
        explained: what a cause means, and how to fix it.
        kept: the causes for which the spool keeps the items, to send them again.
        title: of the exporter in the log; default its name.
    """
    title = title or name
    amounts = {"sent": tally.sent, "retried": tally.retried, "truncated": tally.truncated}
    for what, amount in amounts.items():
        if amount:
            count(f"export.{name}.{what}", amount)
    if tally.truncated:
        log_once(
            f"export.{title}.cut",
            "%s: content was truncated to the size limit of the service (logged once)",
            title,
        )
    for cause, items in tally.dropped.items():
        fate = "kept" if cause in kept else "dropped"
        count(f"export.{name}.{fate}", items)
        count(f"export.{name}.{fate}.{cause}", items)
        reason = f' ("{tally.reasons[cause]}")' if tally.reasons.get(cause) else ""
        log_once(
            f"export.{title}.{fate}.{cause}",
            "%s: %d %s %s: %s: %s%s (logged once)",
            title,
            items,
            unit,
            "kept in the spool and sent again later" if cause in kept else "dropped",
            cause,
            explained(cause),
            reason,
        )
