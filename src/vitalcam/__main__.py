"""``python -m vitalcam`` is ``vitalcam``; an interrupt is one line from the first import on."""

import sys


def main() -> None:
    """The command line."""
    try:
        from vitalcam import cli

        cli.main()
    except KeyboardInterrupt:
        sys.stderr.write("vitalcam: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
