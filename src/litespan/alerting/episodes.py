"""The state of one alert: a record of plain JSON, and the two steps that change it. Pure.

A record is an *episode*: it begins with a finding, goes on while there are more, and is over
after `resolve` seconds without any.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from litespan.alerting.alert import Example, Finding, Notice
from litespan.alerting.state import Record
from litespan.alerting.thresholds import Thresholds

Episode = dict[str, Any]
"""since, last, told_at (s since the epoch; 0 = never), count, told_count, told, due, about."""


@dataclass(frozen=True, slots=True)
class Flow:
    """How often one destination is told of one thing. Seconds."""

    resolve: float
    cooldown: float
    repeat: float

    @classmethod
    def of(cls, t: Thresholds) -> "Flow":
        """As the thresholds say."""
        return cls(t.resolve, t.cooldown, t.repeat)


def seen(
    record: Record | None, finding: Finding, now: float, flow: Flow, since: float | None = None
) -> tuple[Episode, Notice | None]:
    """There is one more finding (or `finding.count`): the new record, and what to send.

    `since`, in seconds since the epoch, is when what was found began, if that is not now.
    """
    since = now if since is None else since
    new: Episode = {"since": since, "count": 0, "told_count": 0, "told": False, "told_at": 0.0}
    if record is not None:
        new.update(record)
        if now - record["last"] >= flow.resolve and not record["told"]:
            new.update(since=since, count=0, told_count=0)  # nobody heard of the last episode
    new["last"] = now
    new["count"] += finding.count
    turn = None
    rests = now - new["told_at"]
    if not new["told"]:
        turn = "firing" if rests >= flow.cooldown or not finding.patient else None
    elif rests >= flow.repeat:
        turn = "repeat"
    notice = None
    if turn is not None:
        missed = new["count"] - new["told_count"] - finding.count
        notice = Notice(
            finding,
            "firing" if turn == "firing" else "repeat",
            new["since"],
            now,
            new["count"],
            missed,
        )
        new.update(told=True, told_at=now, told_count=new["count"])
    new["about"] = asdict(replace(finding, count=1))
    new["due"] = now + flow.resolve
    return new, notice


def rested(record: Record | None, now: float, flow: Flow) -> tuple[Episode | None, Notice | None]:
    """Time has passed: the new record (None to forget it), and what to tell."""
    if record is None:
        return None, None
    if now < record["due"]:  # another process has seen more of it
        return dict(record), None
    notice = None
    new = dict(record)
    if now - record["last"] >= flow.resolve and record["told"]:
        finding = finding_of(record["about"])
        if finding.lasting:
            missed = record["count"] - record["told_count"]
            notice = Notice(
                finding, "resolved", record["since"], record["last"], record["count"], missed
            )
        new.update(told=False, count=0, told_count=0)
    free = record["told_at"] + flow.cooldown
    if now >= free:
        return None, notice
    new["due"] = free
    return new, notice


def finding_of(about: Mapping[str, Any]) -> Finding:
    """The finding that a record tells of."""
    labels = tuple((name, value) for name, value in about["labels"])
    return Finding(**{**about, "labels": labels, "example": Example(**about["example"])})
