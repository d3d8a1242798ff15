import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_graph.py"

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # importing torch_geometric


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the script with tiny sizes and give what it prints. So small, nothing is said of speed."""
    n_threads = torch.get_num_threads()

    monkeypatch.syspath_prepend(SCRIPT.parent)

    def call(*options):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--quick", "--threads", "1", *options])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        assert ended.value.code == 0
        return capsys.readouterr().out

    yield call
    torch.set_num_threads(n_threads)


def test_bench_graph_gives_every_ratio(run):
    result = json.loads(run("--json"))
    [dense] = result["dense"]
    assert dense["n_units"] == 100
    assert dense["faster_than_pyg"] == pytest.approx(dense["pyg"]["seconds"] / dense["seconds"])
    assert dense["faster_than_pyg_parts"] == pytest.approx(dense["pyg_parts"]["seconds"] / dense["seconds"])
    assert dense["times_the_bound"] > 0
    assert {"less_memory_than_pyg", "reached", "bytes", "peak_flops"} <= set(dense)
    sparse = result["sparse"]
    assert set(sparse["cases"]) == {"sparse", "gather", "lstm-4", "lstm-6"}
    seconds = {name: case["seconds"] for name, case in sparse["cases"].items()}
    assert sparse["faster_than_gather"] == pytest.approx(seconds["gather"] / seconds["sparse"])
    assert sparse["over_lstm"]["lstm-4"] == pytest.approx(seconds["sparse"] / seconds["lstm-4"])
    assert all(case["epoch_seconds"] == pytest.approx(case["seconds"] * 4760 / 2) for case in sparse["cases"].values())
    lstm, st_gat, st_gcn = result["decoders"]
    assert [row["decoder"] for row in (lstm, st_gat, st_gcn)] == ["lstm", "st-gat", "st-gcn"]
    assert st_gcn["over_lstm"] == pytest.approx(st_gcn["seconds"] / lstm["seconds"])


def test_bench_graph_prints_a_table(run):
    printed = run()
    assert "x PyG" in printed
    assert "x sparse" in printed
    assert "x lstm" in printed
