import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikesight.connectivity.areas import area_summary
from spikesight.errors import ConfigError, DataError, UnitIdsError

COLUMNS = [
    "source_area", "target_area", "n_sources", "n_targets", "n_pairs", "n_edges", "density", "mean_weight",
    "mean_abs_weight_of_edges", "share_excitatory", "direction_asymmetry",
]  # fmt: skip


def units_in(*areas):
    return pd.DataFrame({"area": list(areas)}, index=pd.Index(range(10, 10 + len(areas)), name="unit_id"))


def all_pairs(units, rng=None, directed=True):
    """Every pair of units, weights and q-values at random."""
    rng = np.random.default_rng(0) if rng is None else rng
    ids = units.index.to_numpy()
    rows, columns = np.nonzero(~np.eye(len(ids), dtype=bool))
    if not directed:
        rows, columns = rows[rows < columns], columns[rows < columns]
    return pd.DataFrame(
        {
            "source_unit": ids[rows],
            "target_unit": ids[columns],
            "weight": rng.normal(size=len(rows)),
            "q_value": rng.random(len(rows)) ** 2,
        }
    )


def row(summary, source, target):
    [found] = summary[(summary.source_area == source) & (summary.target_area == target)].to_dict("records")
    return found


def test_area_summary_of_three_units_in_two_areas():
    edges = pd.DataFrame(
        [(10, 11, 1.0, 0.5), (11, 10, 3.0, 0.01), (10, 12, 2.0, 0.05), (12, 10, -1.0, 0.2), (11, 12, -4.0, 0.001),
         (12, 11, 0.0, 0.9)],
        columns=["source_unit", "target_unit", "weight", "q_value"],
    )  # fmt: skip
    found = area_summary(edges, units_in("V", "V", "L"))
    nan = np.nan
    expected = pd.DataFrame(
        [
            ("L", "L", 1, 1, 0, nan, nan, nan, nan, nan, nan),
            ("L", "V", 1, 2, 2, 0.0, 0.0, -0.5, nan, nan, -1.0),
            ("V", "L", 2, 1, 2, 2.0, 1.0, -1.0, 3.0, 0.5, 1.0),
            ("V", "V", 2, 2, 2, 1.0, 0.5, 2.0, 3.0, 1.0, 0.0),
        ],
        columns=COLUMNS,
    )
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_area_summary_without_p_values_has_weights_but_no_density():
    units = units_in("V", "V", "L")
    edges = all_pairs(units).assign(q_value=np.nan)
    found = area_summary(edges, units)
    unknown = ["n_edges", "density", "mean_abs_weight_of_edges", "share_excitatory", "direction_asymmetry"]
    assert found[unknown].isna().all(axis=None)
    to_l = edges[edges.source_unit.isin([10, 11]) & (edges.target_unit == 12)]
    assert row(found, "V", "L")["mean_weight"] == pytest.approx(to_l.weight.mean())
    assert row(found, "V", "L")["n_pairs"] == 2


@pytest.mark.parametrize("missing", ["", None, np.nan])
def test_area_summary_names_an_area_that_is_not_known_and_puts_it_last(missing):
    units = units_in("zona", missing, missing)
    found = area_summary(all_pairs(units), units)
    assert found["source_area"].tolist() == ["zona", "zona", "not given", "not given"]
    assert row(found, "not given", "not given")["n_pairs"] == 2


def test_area_summary_without_areas_is_one_row():
    units = units_in("V", "V").drop(columns="area")
    found = area_summary(all_pairs(units), units)
    assert found[["source_area", "target_area", "n_pairs"]].to_numpy().tolist() == [["not given", "not given", 2]]


def test_area_summary_counts_edges_without_a_direction_both_ways():
    units = units_in("L", "L", "V", "V")
    edges = all_pairs(units, directed=False)
    both = pd.concat([edges, edges.rename(columns={"source_unit": "target_unit", "target_unit": "source_unit"})])
    found, expected = area_summary(edges, units, q=0.4), area_summary(both, units, q=0.4)
    pd.testing.assert_frame_equal(
        found.drop(columns="direction_asymmetry"), expected.drop(columns="direction_asymmetry")
    )
    assert found["direction_asymmetry"].isna().all()
    assert expected["n_edges"].sum() > 0


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), n_units=st.integers(2, 12), q=st.floats(0.01, 1.0))
def test_area_summary_agrees_with_a_count_pair_by_pair(seed, n_units, q):
    rng = np.random.default_rng(seed)
    units = units_in(*rng.choice(["A", "B", "C"], n_units))
    edges = all_pairs(units, rng).sample(frac=1, random_state=seed)
    found = area_summary(edges, units, q)
    area = units["area"].to_dict()
    density = {}
    for source in set(area.values()):
        for target in set(area.values()):
            own = [
                (edge.weight, edge.q_value)
                for edge in edges.itertuples()
                if area[edge.source_unit] == source and area[edge.target_unit] == target
            ]
            strong = [weight for weight, q_value in own if q_value <= q]
            got = row(found, source, target)
            assert got["n_pairs"] == len(own)
            if own:
                assert got["n_edges"] == len(strong)
                assert got["mean_weight"] == pytest.approx(np.mean([weight for weight, _ in own]))
            if strong:
                assert got["share_excitatory"] == pytest.approx(np.mean([weight > 0 for weight in strong]))
                assert got["mean_abs_weight_of_edges"] == pytest.approx(np.mean(np.abs(strong)))
            density[source, target] = len(strong) / len(own) if own else np.nan
    for (source, target), there in density.items():
        total = there + density[target, source]
        expected = (there - density[target, source]) / total if total > 0 else np.nan
        assert row(found, source, target)["direction_asymmetry"] == pytest.approx(expected, nan_ok=True)


def test_area_summary_refuses_a_table_that_lacks_pairs():
    units = units_in("V", "V", "L")
    with pytest.raises(DataError, match=r"each of the 6 ordered pairs of 3 units .* got 5"):
        area_summary(all_pairs(units).iloc[:5], units)


def test_area_summary_refuses_a_pair_that_is_there_twice():
    units = units_in("V", "V", "L")
    edges = all_pairs(units)
    with pytest.raises(DataError, match="some of them twice"):
        area_summary(pd.concat([edges.iloc[:5], edges.iloc[:1]]), units)


def test_area_summary_refuses_a_unit_that_is_not_in_the_table():
    units = units_in("V", "V", "L")
    with pytest.raises(UnitIdsError, match=r"not among them: \[12\]"):
        area_summary(all_pairs(units), units.iloc[:2])


@pytest.mark.parametrize("q", [0, -0.1, 1.5, np.nan])
def test_area_summary_refuses_a_rate_that_is_none(q):
    units = units_in("V", "L")
    with pytest.raises(ConfigError, match="false discovery rate"):
        area_summary(all_pairs(units), units, q)
