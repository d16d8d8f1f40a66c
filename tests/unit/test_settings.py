"""What measures where nothing was said, and what a user's word changes of it."""

import pytest
from click.testing import CliRunner

from vitalcam import Settings, runtime, settings
from vitalcam.cli import main


def test_a_default_model_is_in_the_package(monkeypatch, tmp_path):
    monkeypatch.setenv("VITALCAM_HOME", str(tmp_path))
    assert settings.DEFAULT_MODEL in {"", *(card.name for card in runtime.available())}


@pytest.mark.parametrize(("default", "named"), [("", ("pos", "")), ("ours", ("", "ours"))])
def test_what_measures_is_named(monkeypatch, default, named):
    monkeypatch.setattr(settings, "DEFAULT_MODEL", default)
    found = Settings().resolved()
    assert (found.method, found.model) == named
    assert found.resolved() == found


@pytest.mark.parametrize("asked", [Settings(method="chrom"), Settings(model="mine")])
def test_what_was_asked_for_stays(monkeypatch, asked):
    monkeypatch.setattr(settings, "DEFAULT_MODEL", "ours")
    assert asked.resolved() == asked


def test_two_that_measure_are_refused():
    result = CliRunner().invoke(main, ["measure", "a.mp4", "--method", "pos", "--model", "mine"])
    assert result.exit_code == 2
    assert "--method pos and --model mine: one of them measures; give one" in result.stderr
