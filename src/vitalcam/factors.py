"""Windows of an evaluation by what is known of person and scene."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from vitalcam.errors import UnknownName
from vitalcam.scores import Row

UNKNOWN = "unknown"
_MOST = 8
_BINS = 4


def groups(rows: Sequence[Row], names: Sequence[str]) -> dict[tuple[str, ...], list[Row]]:
    """The windows that share their attributes, in order of the attributes' values.

    Args:
        rows: windows.
        names: of attributes, such as "person.skin_type", or "skin_type" where no other ends so; "dataset" and
            "subject" are always there. Numbers with more than eight values are put into four bins that hold as many
            recordings each.

    Raises:
        UnknownName: no recording has such an attribute; the message lists those there are.
    """
    each = [_levels(rows, resolve([row.attributes for row in rows], name)) for name in names]
    orders = [{label: i for i, label in enumerate(dict.fromkeys(ordered))} for _, ordered in each]
    found: dict[tuple[str, ...], list[Row]] = {}
    for i, row in enumerate(rows):
        found.setdefault(tuple(labels[i] for labels, _ in each), []).append(row)

    def place(key: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(order[label] for order, label in zip(orders, key, strict=True))

    return {key: found[key] for key in sorted(found, key=place)}


def resolve(attributes: Iterable[Mapping[str, Any]], name: str) -> str:
    """The full name of an attribute of recordings or windows.

    Raises:
        UnknownName: no recording has it, or several attributes end so.
    """
    known = {"dataset", "subject"}.union(*attributes)
    ending = [full for full in known if full.rsplit(".", 1)[-1] == name]
    if name in known:
        return name
    if len(ending) != 1:
        raise UnknownName("attribute", name, ending or known)
    return ending[0]


def value(row: Row, name: str) -> Any:
    """An attribute of a window; None where it is unknown."""
    return {"dataset": row.dataset, "subject": row.subject, **row.attributes}.get(name)


def _levels(rows: Sequence[Row], name: str) -> tuple[list[str], list[str]]:
    """The label of each window, and all labels in order."""
    values = [value(row, name) for row in rows]
    known = {v for v in values if v is not None}
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in known):
        labels = [UNKNOWN if v is None else str(v) for v in values]
        return labels, [*sorted(set(labels) - {UNKNOWN}), UNKNOWN]
    numbers = np.array([np.nan if v is None else v for v in values], dtype=float)
    if len(known) <= _MOST:
        labels = [UNKNOWN if np.isnan(v) else f"{v:g}" for v in numbers]
        return labels, [*(f"{v:g}" for v in sorted(known)), UNKNOWN]
    once = {(row.dataset, row.recording): v for row, v in zip(rows, numbers, strict=True) if np.isfinite(v)}
    edges = np.quantile(list(once.values()), np.linspace(0, 1, _BINS + 1))
    names = [f"{low:.3g} to {high:.3g}" for low, high in itertools.pairwise(edges)]
    bins = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, _BINS - 1)
    labels = [UNKNOWN if np.isnan(v) else names[k] for v, k in zip(numbers, bins, strict=True)]
    return labels, [*names, UNKNOWN]
