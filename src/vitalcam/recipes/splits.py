"""Which people of a data set train and which are tested, where one set is both; nobody is on both sides."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from vitalcam.errors import ConfigError, DatasetError


@dataclass(frozen=True)
class Split:
    """The rule for one set. People are taken in order of name, numbers by their value.

    Attributes:
        first: share of the people that train; the others are tested.
        fold: (k, n): of every n people in turn the k-th is tested, from 1.
        test: an official list of the people that are tested. It is used where any of them is there; a stand-in has
            other people, for which one of the rules above holds.

    Raises:
        ConfigError: there is no rule, or two, or one that tests nobody.
    """

    first: float = 0.0
    fold: tuple[int, int] = (0, 0)
    test: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        k, n = self.fold
        if bool(self.first) == bool(n):
            raise ConfigError("a split needs first = SHARE or fold = [K, N], one of them")
        if not (0 < self.first < 1 or 1 <= k <= n >= 2):
            raise ConfigError(f"first is {self.first}, fold {list(self.fold)}; 0 < first < 1 or 1 <= K <= N, N >= 2")

    def of(self, people: Iterable[str]) -> Sides:
        """Divide people.

        Raises:
            DatasetError: nobody would train, or nobody be tested.
        """
        names = sorted(set(people), key=natural)
        listed = [name for name in names if name in self.test]
        tested, rule = (listed, "the official list") if listed else self._ruled(names)
        sides = Sides(tuple(name for name in names if name not in tested), tuple(tested), rule)
        if not sides.train or not sides.test:
            raise DatasetError(f"{len(names)} people cannot be divided by {rule}; give more people")
        return sides

    def _ruled(self, names: list[str]) -> tuple[list[str], str]:
        if self.first:
            return names[int(self.first * len(names) + 1e-9) :], f"the first {self.first:.0%} train"
        k, n = self.fold
        return names[k - 1 :: n], f"fold {k} of {n}, people in turn"


@dataclass(frozen=True)
class Sides:
    """The people of both sides, and the rule that divided them."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    rule: str


def natural(name: str) -> list[tuple[int, int, str]]:
    """Key that sorts p2 before p10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
