"""The package runs as a module, for those who have no script folder on their path."""

import subprocess
import sys

import vitalcam


def test_python_m_vitalcam_is_the_command():
    done = subprocess.run([sys.executable, "-m", "vitalcam", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["vitalcam", vitalcam.__version__]


def test_a_command_without_its_extra_says_which(tmp_path):
    code = "import sys; sys.modules['torch'] = None; from vitalcam.cli import main; main()"
    command = [sys.executable, "-c", code, "train", "mmrphys", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("vitalcam: train")
    assert 'pip install "vitalcam[train]"' in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
