"""What rules remember of a model's latest calls: sliding windows of bounded size."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

MOST_CALLS: Final = 1000  # in one window; beyond, the oldest go
MOST_MODELS: Final = 200  # beyond, the one that was not called for longest goes


@dataclass(slots=True)
class Window:
    """Numbers of the last `seconds`."""

    seconds: float
    _kept: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=MOST_CALLS))

    def add(self, now: float, number: float = 0.0) -> None:
        """Note a number, now."""
        self._kept.append((now, number))

    def numbers(self, now: float) -> list[float]:
        """Those that are not too old."""
        while self._kept and self._kept[0][0] <= now - self.seconds:
            self._kept.popleft()
        return [number for _, number in self._kept]

    def count(self, now: float) -> int:
        """How many those are."""
        return len(self.numbers(now))


@dataclass(slots=True)
class Recent:
    """The windows of one model."""

    calls: Window
    failures: Window
    outages: Window
    durations: Window  # s


class Models:
    """The windows of every model that was called lately."""

    def __init__(self, window: float, slow_window: float) -> None:
        self._seconds = (window, slow_window)
        self._models: OrderedDict[tuple[str, str], Recent] = OrderedDict()

    def of(self, provider: str, model: str) -> Recent:
        """Those of one model."""
        recent = self._models.get((provider, model))
        if recent is None:
            short, long = self._seconds
            recent = Recent(Window(short), Window(short), Window(short), Window(long))
            self._models[provider, model] = recent
            if len(self._models) > MOST_MODELS:
                self._models.popitem(last=False)
        self._models.move_to_end((provider, model))
        return recent

    def __iter__(self) -> Iterator[Recent]:
        return iter(self._models.values())
