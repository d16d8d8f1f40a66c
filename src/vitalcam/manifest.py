"""What was done in an output folder, so that a call can go on where another was interrupted."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from vitalcam import __version__, config, files
from vitalcam.batch import Outcome, Task, absolute, is_camera
from vitalcam.errors import OutputError
from vitalcam.report import plain, terminal

_ROW = {"path", "state", "digest", "name", "status", "files", "lines"}  # what resuming needs


class Manifest:
    """What was done in an output folder: a line of JSON for each input, the last one counts.

    Args:
        folder: that holds it.

    Raises:
        OutputError: a file of that name is there that we did not write or cannot read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = self.path_in(folder)
        self.rows: dict[str, dict[str, Any]] = {}
        try:
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        except (OSError, ValueError) as error:
            raise OutputError(f"{self.path}: cannot be read ({error}); give another folder") from None
        self._start = "" if text.endswith("\n") or not text else "\n"
        for line in text.splitlines():
            with suppress(ValueError):  # a line that was cut off: its input is measured again
                row = json.loads(line)
                if not (isinstance(row, dict) and row.keys() >= _ROW):
                    raise OutputError(f"{self.path}: is no manifest that vitalcam wrote; give another folder")
                self.rows[row["path"]] = row

    @staticmethod
    def path_in(folder: Path) -> Path:
        """Where the manifest of a folder is."""
        return folder / "manifest.jsonl"

    @property
    def names(self) -> dict[str, str]:
        """Names by absolute path."""
        return {path: row["name"] for path, row in self.rows.items()}

    def before(self, task: Task) -> Outcome | None:
        """The outcome of a task that was done with the same input and settings and whose files are there."""
        row = self.rows.get(absolute(task.source))
        if row is None or row["status"] == "failed" or is_camera(task.source):
            return None
        same = row["state"] == _state(task.source) and row["digest"] == _digest(task)
        if not same or not all((self.folder / name).exists() for name in row["files"]):
            return None
        lines = tuple(terminal.Line(**line) for line in row["lines"])
        document = ""
        if task.document and task.outputs.json:
            document = plain.dumps(json.loads(task.outputs.json.read_text(encoding="utf-8")))
        return Outcome(task, row["status"], lines=lines, document=document, files=tuple(row["files"]), done_before=True)

    def begin(self, tasks: Iterable[Task], *, resume: bool) -> None:
        """Make the folder ours, unless that would replace what is not.

        Args:
            tasks: whose files will be written.
            resume: what has no row may have been left by an interrupted call, if one began here.

        Raises:
            OutputError: a file that no row speaks of would be replaced, or the folder cannot be written.
        """
        new = [task for task in tasks if absolute(task.source) not in self.rows]
        paths = [path for task in new for path in task.outputs.paths if path.parent == self.folder]
        strange = next((path for path in paths if path.exists()), None)
        if strange and not (resume and self.path.exists()):
            hint = ", or --resume if an interrupted call left it" if self.path.exists() else ""
            raise OutputError(f"{strange}: is there and not in the folder's manifest; give another folder{hint}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.path.touch()
        except OSError as error:
            raise files.cannot(self.path, error) from None

    def add(self, outcome: Outcome) -> None:
        """Append an outcome.

        Raises:
            OutputError: the manifest cannot be written.
        """
        row = {
            "path": absolute(outcome.task.source),
            "state": _state(outcome.task.source),
            "digest": _digest(outcome.task),
            "name": outcome.task.name,
            "status": outcome.status,
            "error": outcome.error,
            "files": [os.path.relpath(name, self.folder) for name in outcome.files],
            "lines": [dataclasses.asdict(line) for line in outcome.lines],
        }
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(self._start + plain.dumps(row) + "\n")
            self._start = ""
        except OSError as error:
            raise files.cannot(self.path, error) from None


def _state(source: str) -> list[int] | None:
    """Size and time of the last change of a file, or of all files of a folder; None where there is none."""
    path = Path(source)
    try:
        stats = [entry.stat() for entry in path.iterdir()] if path.is_dir() else [path.stat()]
    except OSError:
        return None
    return [len(stats), sum(s.st_size for s in stats), max((s.st_mtime_ns for s in stats), default=0)]


def _digest(task: Task) -> str:
    """Names everything but the input that the files depend on."""
    outputs = {key: value is not None for key, value in dataclasses.asdict(task.outputs).items()}
    given = {"fps_hz": task.fps_hz, "thermal": str(task.thermal or ""), "neurokit": task.outputs.neurokit}
    return config.digest({"settings": config.to_dict(task.settings), "version": __version__, **outputs, **given})
