"""What becomes of a result: words, tables, files, a figure."""

from vitalcam.report.bids import write_bids
from vitalcam.report.edf import write_edf
from vitalcam.report.plain import to_dict, to_json, write_json
from vitalcam.report.plot import figure, write_figure
from vitalcam.report.tables import write_csv
from vitalcam.report.terminal import summary

__all__ = [
    "figure", "summary", "to_dict", "to_json", "write_bids", "write_csv", "write_edf", "write_figure", "write_json",
]  # fmt: skip
