"""The package runs as a module, for those who have no script folder on their path."""

import subprocess
import sys

import vitalcam


def test_python_m_vitalcam_is_the_command():
    done = subprocess.run([sys.executable, "-m", "vitalcam", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["vitalcam", vitalcam.__version__]
