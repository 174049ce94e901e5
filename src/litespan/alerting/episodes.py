"""The state of one alert: a JSON record, and the two pure functions that change it.

An *episode* begins with a finding and ends after `resolve` seconds without another one.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from litespan.alerting.alert import Example, Finding, Notice, Turn
from litespan.alerting.state import Record
from litespan.alerting.thresholds import Thresholds

Episode = dict[str, Any]
"""A record, as processes store it.

since, last: times of the first and the latest finding, s since the epoch.
count: findings since `since`. notified_count: findings up to the last notice.
notified: whether a notice was sent. notified_at: when, s since the epoch, 0 for never.
due: when to check the record, s since the epoch. about: the latest finding.
"""


def observe(
    record: Record | None, finding: Finding, now: float, t: Thresholds, since: float | None = None
) -> tuple[Episode, Notice | None]:
    """Add a finding. Returns the new record, and the notice to send.

    Args:
        record: the stored record.
        finding: what was found.
        now: s since the epoch.
        t: resolve, cool-down and repeat times.
        since: when the condition began, s since the epoch, if that is not now.
    """
    since = now if since is None else since
    new: Episode = {
        "since": since,
        "count": 0,
        "notified_count": 0,
        "notified": False,
        "notified_at": 0.0,
    }
    # A later record is of a clock that was set back since; processes may differ by a moment.
    if record is not None and record["last"] - now <= t.resolve:
        new.update(record)
        if now - record["last"] >= t.resolve and not record["notified"]:
            new.update(since=since, count=0, notified_count=0)  # the last episode sent no notice
    new["last"] = now
    new["count"] += finding.count
    turn: Turn | None = None
    if not new["notified"]:
        turn = "firing" if now - new["notified_at"] >= t.cooldown or not finding.patient else None
    elif now - new["notified_at"] >= t.repeat:
        turn = "repeat"
    notice = None
    if turn is not None:
        suppressed = new["count"] - new["notified_count"] - finding.count
        notice = Notice(finding, turn, new["since"], now, new["count"], suppressed)
        new.update(notified=True, notified_at=now, notified_count=new["count"])
    new["about"] = asdict(replace(finding, count=1))
    new["due"] = now + t.resolve
    return new, notice


def expire(
    record: Record | None, now: float, t: Thresholds
) -> tuple[Episode | None, Notice | None]:
    """Check a due record. Returns the new record (None to delete it), and the notice to send."""
    if record is None:
        return None, None
    if now < record["due"]:  # another process has added a finding
        return dict(record), None
    notice = None
    new = dict(record)
    if now - record["last"] >= t.resolve and record["notified"]:
        finding = to_finding(record["about"])
        if finding.lasting:
            suppressed = record["count"] - record["notified_count"]
            times = record["since"], record["last"]
            notice = Notice(finding, "resolved", *times, record["count"], suppressed)
        new.update(notified=False, count=0, notified_count=0)
    cooled_down = record["notified_at"] + t.cooldown
    if now >= cooled_down:
        return None, notice
    new["due"] = cooled_down
    return new, notice


def to_finding(about: Mapping[str, Any]) -> Finding:
    """A finding from its JSON object."""
    pairs = {
        field: tuple((name, value) for name, value in about.get(field, ()))
        for field in ("labels", "details")
    }
    return Finding(**{**about, **pairs, "example": Example(**about["example"])})
