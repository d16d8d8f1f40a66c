"""The rows of an evaluation on disk: a file for each recording, beside what was evaluated and how."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vitalcam import config, files
from vitalcam.data import Prepared, file_name
from vitalcam.errors import ConfigError, DatasetError
from vitalcam.protocol import Protocol
from vitalcam.report import plain
from vitalcam.scores import Row
from vitalcam.types import Recording


class Kept:
    """Rows in a folder.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def claim(self, what: Mapping[str, Any], protocol: Protocol, door: Mapping[str, str] | None) -> None:
        """Make the folder this evaluation's.

        Raises:
            ConfigError: it is another's.
        """
        about = {"protocol": config.to_dict(protocol), **what}
        path = self.folder / "evaluation.json"
        if not path.exists():
            files.write_text(path, json.dumps({**about, "door": dict(door or {})}, indent=1) + "\n")
        elif {key: value for key, value in self.about().items() if key != "door"} != about:
            raise ConfigError(f"{self.folder}: holds another evaluation (see evaluation.json); give another folder")

    def about(self) -> dict[str, Any]:
        """What was evaluated ("what"), how ("protocol"), and how to find it again ("door").

        Raises:
            DatasetError: the folder holds no evaluation.
        """
        path = self.folder / "evaluation.json"
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise DatasetError(f"{path}: is not there or is damaged; make it with vitalcam evaluate --out") from None
        return found

    def rows(self, recording: Recording | Prepared) -> list[Row] | None:
        """Rows of a recording; None if it was not scored yet."""
        path = self._path(recording)
        return _read(path) if path.exists() else None

    def all_rows(self) -> list[list[Row]]:
        """Rows of all recordings that were scored, by name."""
        return [_read(path) for path in sorted(self.folder.glob("*.rows.json"))]

    def add(self, recording: Recording | Prepared, rows: Sequence[Row]) -> None:
        """Keep the rows of a recording."""
        lines = ",\n".join(plain.dumps(plain.jsonable(dataclasses.asdict(row))) for row in rows)
        files.write_text(self._path(recording), f"[\n{lines}\n]\n")

    def _path(self, recording: Recording | Prepared) -> Path:
        return self.folder / f"{file_name(recording.dataset, recording.id)}.rows.json"


_NUMBERS = ("t0_s", "t1_s", "truth", "estimate", "snr_db", "macc", "confidence", "candidate", "wave_rate")


def _read(path: Path) -> list[Row]:
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return [Row(**row | {name: math.nan for name in _NUMBERS if row.get(name) is None}) for row in rows]
