"""Windows by what is known of person and scene."""

import pytest

from vitalcam import factors
from vitalcam.errors import UnknownName
from vitalcam.scores import Row


def rows(**attributes):
    n = len(next(iter(attributes.values())))
    return [
        Row("d", f"s{i}", f"r{i}", "heart_rate", 0.0, 10.0, 60.0, 60.0,
            attributes={name: values[i] for name, values in attributes.items() if values[i] is not None})
        for i in range(n)
    ]  # fmt: skip


def test_groups_share_their_attributes():
    given = rows(skin=["1", "1", "5", "5"], motion=["a", "b", "a", "a"])
    assert {key: len(group) for key, group in factors.groups(given, ("skin",)).items()} == {("1",): 2, ("5",): 2}
    assert list(factors.groups(given, ("skin", "motion"))) == [("1", "a"), ("1", "b"), ("5", "a")]


def test_names_are_found_by_their_last_part():
    given = rows(**{"person.skin_type": [3], "lighting.seed": [1], "camera.seed": [2]})
    assert list(factors.groups(given, ("skin_type",))) == [("3",)]
    assert list(factors.groups(given, ("subject", "dataset"))) == [("s0", "d")]
    with pytest.raises(UnknownName, match=r"attribute 'light' \(there are: .*person.skin_type"):
        factors.groups(given, ("light",))
    with pytest.raises(UnknownName, match=r"attribute 'seed' \(there are: camera.seed, lighting.seed\)"):
        factors.groups(given, ("seed",))


def test_of_many_names_the_nearest_are_listed():
    given = rows(**{f"camera.x{k}": [k] for k in range(100)}, **{"person.skin_type": [3]})
    with pytest.raises(
        UnknownName, match=r"did you mean 'person.skin_type'\? \(there are 103, nearest: person.skin_type, "
    ):
        factors.groups(given, ("person.skintype",))


def test_an_attribute_that_some_lack_is_unknown_there():
    assert list(factors.groups(rows(light=["lamp", None, "day"]), ("light",))) == [("day",), ("lamp",), ("unknown",)]
    assert list(factors.groups(rows(level=[2, None, 10]), ("level",))) == [("2",), ("10",), ("unknown",)]


def test_numbers_are_sorted_as_numbers_and_many_go_into_bins():
    assert list(factors.groups(rows(n=[10, 9, 2]), ("n",))) == [("2",), ("9",), ("10",)]
    found = factors.groups(rows(x=[float(i) for i in range(20)]), ("x",))
    assert [len(group) for group in found.values()] == [5, 5, 5, 5]
    assert next(iter(found)) == ("0 to 4.75",)
    assert [row.subject for row in found[("0 to 4.75",)]] == ["s0", "s1", "s2", "s3", "s4"]


def test_yes_and_no_are_no_numbers():
    assert list(factors.groups(rows(mask=[True, False]), ("mask",))) == [("False",), ("True",)]
