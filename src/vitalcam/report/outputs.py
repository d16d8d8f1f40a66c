"""Which files a result becomes; found out before the work whether they can be written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vitalcam import files
from vitalcam.errors import MissingExtra, UsageError
from vitalcam.report import bids, edf, look, plain, plot, tables
from vitalcam.types import Result


@dataclass(frozen=True)
class Outputs:
    """Files to write for one input; None for none."""

    json: Path | None = None
    csv: Path | None = None
    bids: Path | None = None
    edf: Path | None = None
    figure: Path | None = None
    neurokit: bool = False

    @classmethod
    def everything(cls, folder: Path, name: str) -> Outputs:
        """All formats in one folder; EDF where edfio is installed."""
        try:
            edf.require()
        except MissingExtra:
            has_edf = False
        else:
            has_edf = True
        return cls(
            json=folder / f"{name}.json",
            csv=folder / f"{name}.csv",
            bids=folder / "bids",
            edf=folder / f"{name}.edf" if has_edf else None,
            figure=folder / f"{name}.png",
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file but those of BIDS, whose names depend on the faces."""
        single = (path for path in (self.json, self.edf, self.figure) if path)
        return (*single, *(tables.paths(self.csv) if self.csv else ()))

    def check(self) -> None:
        """Find out before the work whether everything can be written.

        Raises:
            OutputError: a place cannot be written.
            UsageError: a name has another ending than its format, or an extra is missing.
        """
        for path, ending in ((self.csv, ".csv"), (self.edf, ".edf")):
            if path and path.suffix.lower() != ending:
                raise UsageError(f"{path}: a file of this format ends in {ending}; give a name that ends so")
        for path in self.paths:
            files.probe(path)
        if self.bids:
            files.probe(self.bids, folder=True)
        if self.edf:
            edf.require()
        if self.figure:
            look.check_format(self.figure)

    def write(self, result: Result, name: str) -> list[Path]:
        """Write the files; JSON last, so that its presence says that the others are there."""
        written: list[Path | None] = []
        if self.csv:
            written += tables.write_csv(result, self.csv, neurokit=self.neurokit)
        if self.bids:
            written += bids.write_bids(result, self.bids, subject=name)
        if self.edf:
            written.append(edf.write_edf(result, self.edf))
        if self.figure:
            written.append(plot.write_figure(result, self.figure))
        if self.json:
            written.append(plain.write_json(result, self.json))
        return [path for path in written if path is not None]
