"""What papers claim, judged by numbers whose answer is known."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vitalcam import claims, recipes
from vitalcam.paper_tables import markdown
from vitalcam.recipes import Cell, Claim
from vitalcam.reproduce import Outcome
from vitalcam.scores import Row

BETTER = Claim("a errs less than b", "somewhere", "a", "b")
ALIKE = Claim("a is as good as b", "somewhere", "a", "b", within=0.5)


@pytest.fixture
def made(monkeypatch):
    """Outcomes of models by their errors at each seed; each window of a person errs a little differently."""
    kept = {}
    monkeypatch.setattr(claims.evaluate, "read", lambda place: SimpleNamespace(of=lambda _: kept[place]))

    def outcome(model, seed, error, people=12):
        place, rng = Path(model, str(seed)), np.random.default_rng([seed, ord(model)])
        truths = np.linspace(50, 150, people)
        errors = error + rng.normal(0, 0.2, people)
        kept[place] = [
            Row("d", str(k), str(k), "heart_rate", 0, 10, t, t + e, 1.0, 1 - error / 10)
            for k, (t, e) in enumerate(zip(truths, errors, strict=True))
        ]
        values = {"mae": float(np.abs(errors).mean()), "rmse": 1.0, "snr_db": 1.0, "macc": 0.5}
        return Outcome(Cell(model, "x", "y", seed), {k: (v, 0.1) for k, v in values.items()}, place=place)

    return lambda **models: [outcome(m, seed, e) for m, errors in models.items() for seed, e in enumerate(errors)]


@pytest.mark.parametrize(
    ("claim", "a", "b", "verdict"),
    [
        (BETTER, [2, 2, 2], [4, 5, 6], "holds"),
        (BETTER, [4, 5, 6], [2, 2, 2], "does not hold"),
        (BETTER, [4, 4, 4], [4, 4, 4], "open"),
        (BETTER, [2, 2], [4, 5], "open"),
        (BETTER, [2, 2, 5], [4, 5, 4], "open"),
        (ALIKE, [4, 4, 4], [4, 4, 4], "holds"),
        (ALIKE, [4, 4, 4], [9, 9, 9], "does not hold"),
        (ALIKE, [4, 4, 4], [4.5, 4.5, 4.5], "open"),
        (BETTER, [2, 2, 2], [], "open"),
    ],
)
def test_verdicts(made, claim, a, b, verdict):
    found = claims.judge(claim, made(a=a, b=b))
    assert found.verdict == verdict
    assert found.seeds == min(len(a), len(b))
    if b:
        assert found.difference == pytest.approx(np.mean(a) - np.mean(b), abs=0.2)
        assert found.low <= found.difference <= found.high
        macc = (np.mean(b) - np.mean(a)) / 10
        assert found.macc == pytest.approx((macc,) * 3), "of everybody the same"


def test_a_model_that_failed_is_not_judged(made):
    outcomes = made(a=[2, 2, 2])
    outcomes += [Outcome(Cell("b", "x", "y", seed), missing="no data of x") for seed in range(3)]
    assert claims.judge(BETTER, outcomes) == claims.Judgement(BETTER)


def test_the_table_has_intervals_and_the_blind_guess(made, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(
        'paper = "p"\ntitle = "t"\n[matrix]\nmodel = ["a", "b"]\ntrain = ["x"]\ntest = ["y"]\n[models.a]\n[models.b]\n'
        '[[claims]]\nsays = "a errs less than b"\nwhere = "somewhere"\nbetter = "a"\nthan = "b"\n'
    )
    recipe = recipes.load(path)
    assert recipe.claims == (BETTER,)
    text = markdown(recipe, SimpleNamespace(name="made"), made(a=[2, 2, 2], b=[4, 4, 4]))
    claimed = next(line for line in text.splitlines() if line.startswith("| a errs less than b | somewhere |"))
    assert float(claimed.split("|")[3].split()[0]) == pytest.approx(-2, abs=0.2)
    assert claimed.endswith("| holds |")
    truths = np.linspace(50, 150, 12)
    assert f"these 12 windows would err by {np.abs(truths - 100).mean():.1f}" in text
    mae = next(line for line in text.splitlines() if line.startswith("| a | 3 |")).split("|")[3]
    value, low, high = (float(part.strip("[], ")) for part in mae.split())
    assert 1.8 < low < value < high < 2.2


def test_claims_are_of_models_that_there_are(tmp_path):
    for name in ("ladder_attention", "ladder_rank"):
        assert recipes.load(name).claims
    with pytest.raises(recipes.UnknownName, match="did you mean 'fsam_paper'"):
        recipes.load("ladder_attention", ["claims=[{says='', where='', better='none', than='fsam_pape'}]"])
