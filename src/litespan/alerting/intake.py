"""What waits for an engine's thread, bounded."""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Final

from litespan.alerting import spend
from litespan.alerting.alert import Finding
from litespan.export import GenAISpan

MOST: Final = 1000  # keys that wait to be told, and users whose spending waits to be noted


@dataclass(slots=True)
class Intake:
    """What was found and waits for the engine's thread."""

    findings: OrderedDict[str, Finding] = field(default_factory=OrderedDict)
    spent: OrderedDict[tuple[str, str, str], tuple[float, GenAISpan]] = field(
        default_factory=OrderedDict
    )
    lost: int = 0  # findings that there was no room for

    def add(self, finding: Finding) -> None:
        """One more; with one of the same key that waits, it becomes one."""
        before = self.findings.get(finding.key)
        if before is not None:
            finding = replace(finding, count=before.count + finding.count)
        elif len(self.findings) >= MOST:
            self.lost += finding.count
            return
        self.findings[finding.key] = finding

    def spend(self, span: GenAISpan, usd: float) -> None:
        """Money that one call cost."""
        for kind, name in spend.who(span):
            key = (kind, name, spend.day_of(span).isoformat())
            if key in self.spent or len(self.spent) < MOST:
                self.spent[key] = (self.spent.get(key, (0.0, span))[0] + usd, span)
