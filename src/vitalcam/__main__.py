"""``python -m vitalcam`` is ``vitalcam``."""

from vitalcam.cli import main

main()
