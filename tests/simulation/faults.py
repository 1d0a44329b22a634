"""Which faults a seed has, how often, and when one strikes. Each seed has its own mix: with all of them on at once most
runs would look alike, and what needs two of them and the absence of a third would never be met.
"""

import random
from collections import Counter

from infra.log.memory import Fault

RARE_TO_OFTEN = (0.0, 0.0, 0.01, 0.03, 0.1)
DELAYS = (0.002, 0.01, 0.05, 0.3)


class Faults:
    """The mix of one seed. `active` until the nemesis rests; `counted`: how often each kind struck."""

    def __init__(self, source: random.Random, *, quiet: bool = False) -> None:
        self._random = source
        self.active = not quiet
        self.counted: Counter[str] = Counter()
        self._append = {
            "append lost": self._chance(),
            "append landed, answer lost": self._chance(),
            "append late": self._chance(),
            "append twice": self._chance(),
            "append echoed": self._chance(),
        }
        self.read_failure = self._chance()
        self.store_failure = self._chance()
        self.save_loss = self._chance()
        self.delay = source.choice(DELAYS)
        self.slow_share = source.choice((0.0, 0.02, 0.1))
        self.slow_seconds = source.choice((1.0, 4.0, 12.0))

    def _chance(self) -> float:
        return self._random.choice(RARE_TO_OFTEN)

    def strikes(self, kind: str, chance: float) -> bool:
        if not self.active or self._random.random() >= chance:
            return False
        self.counted[kind] += 1
        return True

    def latency(self) -> float:
        """Seconds that a message or a statement takes."""
        if self.active and self.slow_share and self._random.random() < self.slow_share:
            self.counted["slow answer"] += 1
            return self._random.uniform(0.0, self.slow_seconds)
        return self._random.uniform(0.0, self.delay if self.active else 0.01)

    def next_append(self) -> Fault | str | None:
        """What happens to the next append. "echo": it lands, is acknowledged, and lands once more later."""
        for kind, chance in self._append.items():
            if self.strikes(kind, chance):
                return _APPENDS[kind]
        return None

    def late_seconds(self) -> float:
        return self._random.choice((0.2, 3.0, 15.0, 45.0, 120.0)) * self._random.random()

    def coin(self, chance: float = 0.5) -> bool:
        return self._random.random() < chance


_APPENDS: dict[str, Fault | str] = {
    "append lost": Fault.LOST,
    "append landed, answer lost": Fault.LANDED,
    "append late": Fault.LATE,
    "append twice": Fault.TWICE,
    "append echoed": "echo",
}
