"""The numbers in docs/fidelity.md are those that its command prints."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_table_is_what_the_tool_prints(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import fidelity

    document = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")
    for compared, *values in fidelity.rows():
        (written,) = re.findall(rf"^\| {re.escape(compared)} \| (.*) \|$", document, flags=re.MULTILINE)
        assert numbers(written) == pytest.approx(numbers(" | ".join(values)), rel=0.02, abs=0.002), compared


def numbers(cells):
    return [float(n) for n in re.findall(r"[\d.]+", cells)]
