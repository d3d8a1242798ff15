import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikesight.data.unit_filters import UnitFilters
from spikesight.errors import NoUnitsError

OFF = UnitFilters(
    quality=None,
    in_brain=False,
    valid_channel=False,
    amplitude_cutoff_maximum=None,
    presence_ratio_minimum=None,
    isi_violations_maximum=None,
)


def make_units(n=3, **columns):
    good = {
        "quality": "good",
        "area": "VISp",
        "valid_data": True,
        "amplitude_cutoff": 0.05,
        "presence_ratio": 0.99,
        "isi_violations": 0.1,
    }
    return pd.DataFrame({**good, **columns}, pd.RangeIndex(10, 10 + n, name="unit_id"))


def test_the_defaults_are_those_of_allensdk():
    assert UnitFilters().active() == {
        "quality": "good",
        "in_brain": True,
        "valid_channel": True,
        "amplitude_cutoff_maximum": 0.1,
        "presence_ratio_minimum": 0.95,
        "isi_violations_maximum": 0.5,
    }


def test_good_units_pass():
    units, dropped = UnitFilters().apply(make_units())

    assert units.index.tolist() == [10, 11, 12]
    assert dropped == dict.fromkeys(UnitFilters().active(), 0)


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("quality", "quality", ["good", "noise", "good"]),
        ("in_brain", "area", ["VISp", "", "grey"]),
        ("valid_channel", "valid_data", [True, False, True]),
        ("amplitude_cutoff_maximum", "amplitude_cutoff", [0.1, 0.1000001, 0.0]),
        ("presence_ratio_minimum", "presence_ratio", [0.95, 0.9499999, 1.0]),
        ("isi_violations_maximum", "isi_violations", [0.5, 0.5000001, 0.0]),
    ],
)
def test_each_filter_drops_what_fails_it_and_keeps_its_bound(name, column, values):
    bad = make_units(**{column: values})

    units, dropped = UnitFilters().apply(bad)

    assert units.index.tolist() == [10, 12]
    assert {key: n for key, n in dropped.items() if n} == {name: 1}
    off = dataclasses.replace(UnitFilters(), **{name: getattr(OFF, name)})
    assert off.apply(bad)[0].index.tolist() == [10, 11, 12]
    assert name not in off.apply(bad)[1]


@pytest.mark.parametrize("column", ["amplitude_cutoff", "presence_ratio", "isi_violations"])
def test_nan_fails_a_filter(column):
    units, _ = UnitFilters().apply(
        make_units(**{column: [0.97 if column == "presence_ratio" else 0.0, np.nan, np.nan]})
    )

    assert units.index.tolist() == [10]


def test_a_unit_counts_for_the_first_filter_that_drops_it():
    _, dropped = UnitFilters().apply(make_units(quality=["good", "noise", "noise"], area=["VISp", "", ""]))

    assert dropped["quality"] == 2
    assert dropped["in_brain"] == 0


def test_a_filter_without_its_column_is_not_applied():
    units, dropped = UnitFilters().apply(make_units()[["presence_ratio"]])

    assert len(units) == 3
    assert dropped == {"presence_ratio_minimum": 0}


def test_all_off_keeps_everything():
    bad = make_units(quality="noise", area="", valid_data=False, amplitude_cutoff=np.nan)

    units, dropped = OFF.apply(bad)

    assert units.equals(bad)
    assert dropped == {}


@given(st.lists(st.tuples(st.sampled_from(["good", "noise"]), st.floats(0, 1)), min_size=1, max_size=20))
def test_kept_and_dropped_add_up(rows):
    units = make_units(len(rows), quality=[row[0] for row in rows], presence_ratio=[row[1] for row in rows])
    expected = sum(quality == "good" and ratio >= 0.95 for quality, ratio in rows)

    if expected:
        kept, dropped = UnitFilters().apply(units)
        assert len(kept) == expected
        assert sum(dropped.values()) == len(rows) - expected
    else:
        with pytest.raises(NoUnitsError):
            UnitFilters().apply(units)


def test_no_unit_left_says_which_filter_removed_how_many():
    units = make_units(quality=["good", "noise", "good"], presence_ratio=[0.5, 0.99, 0.6])

    with pytest.raises(NoUnitsError) as error:
        UnitFilters().apply(units)

    assert "none of 3 is left" in str(error.value)
    assert "quality='good' removed 1" in str(error.value)
    assert "presence_ratio_minimum=0.95 removed 2" in str(error.value)
    assert "Relax" in str(error.value)


def test_no_units_at_all_is_an_error():
    with pytest.raises(NoUnitsError, match="there were none"):
        OFF.apply(make_units(0))
