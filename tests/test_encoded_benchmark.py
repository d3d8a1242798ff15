"""Encoders in a benchmark: rows beside the bare decoders, what is refused, what is stored, what is found again."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from lab_counts import write_lab_counts
from spikesight.cli import app
from spikesight.config import load_config
from spikesight.decoders.storage import load_decoder
from spikesight.errors import ConfigError
from spikesight.evaluation.contenders import encoded_contender
from spikesight.experiment import run_benchmark
from spikesight.prediction import predict_file

QUICK = ("--selection", "default", "--folds", "3", "--gap", "2", "--jobs", "1")


def benchmark(counts, *options):
    return CliRunner().invoke(app, ["benchmark", str(counts), *QUICK, *map(str, options)])


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    return write_lab_counts(tmp_path_factory.mktemp("lab") / "lab.npz")


@pytest.fixture(scope="module")
def run(counts, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "encoded"
    options = ("--decoders", "fa-lda,ridge", "--encoder", "pca,factor-analysis", "--save-decoders", "--out", out)
    done = benchmark(counts, *options, "--encoder", "vae", "--set", "encoder_params.vae.max_epochs=2")
    assert done.exit_code == 0, done.output
    return out


def test_rows_of_encoded_decoders_stand_beside_the_bare_ones_on_the_same_trials(run):
    results = pd.read_parquet(run / "results.parquet")
    encoded = [f"{encoder}+{name}" for encoder in ("pca", "factor-analysis", "vae") for name in ("fa-lda", "ridge")]
    assert set(results["decoder"]) == {"chance", "fa-lda", "ridge", *encoded}
    predictions = pd.read_parquet(run / "predictions.parquet")
    rows = {name: own["row"].tolist() for name, own in predictions.groupby("decoder")}
    assert all(own == rows["fa-lda"] for own in rows.values())
    assert json.loads((run / "failures.json").read_text()) == []
    constants = json.loads(results.loc[results["decoder"] == "vae+ridge", "params"].iloc[0])
    assert constants == {"encoder__max_epochs": 2, "decoder__alpha": 2000.0}


def test_the_leaderboard_and_the_report_know_them(run, counts):
    done = CliRunner().invoke(app, ["report", str(run)])
    assert done.exit_code == 0, done.output
    assert "vae+fa-lda" in (run / "report.html").read_text()


def test_a_finished_benchmark_with_encoders_fits_nothing_again(run):
    before = {file.name: file.stat().st_mtime_ns for file in (run / "decoders").glob("*/decoder.json")}
    run_benchmark(load_config(run / "config.yaml"))
    assert {file.name: file.stat().st_mtime_ns for file in (run / "decoders").glob("*/decoder.json")} == before


def test_a_stored_encoded_decoder_predicts_from_a_file_what_it_predicted_in_the_benchmark(run, counts):
    predictions = pd.read_parquet(run / "predictions.parquet")
    for folder in sorted((run / "decoders").iterdir()):
        decoder, meta = load_decoder(folder)
        own = predictions[(predictions["decoder"] == meta["decoder"]) & (predictions["fold"] == meta["fold"])]
        table = predict_file(folder, counts).set_index("trial").loc[own["trial"]]
        np.testing.assert_array_equal(table["y_pred"].to_numpy(str), own["y_pred"].to_numpy(str))
        assert (table["role"] == "test").all()
        assert decoder.n_units_ == 12
    assert not [file for file in run.rglob("*") if file.suffix in (".pkl", ".pickle", ".joblib")]


def test_a_graph_decoder_stands_alone_with_a_note_and_without_other_decoders_is_refused(counts, tmp_path):
    done = benchmark(counts, "--decoders", "gcn,poisson-bayes,chance", "--encoder", "pca", "--out", tmp_path / "none")
    assert done.exit_code == 1
    assert "components are no units" in done.stderr
    assert "components are none" in done.stderr
    assert not (tmp_path / "none").exists()
    done = benchmark(counts, "--decoders", "poisson-bayes,lda", "--encoder", "pca", "--out", tmp_path / "some")
    assert done.exit_code == 0, done.output
    assert "poisson-bayes stands alone, without an encoder: it models spike counts" in done.stderr
    decoders = set(pd.read_parquet(tmp_path / "some" / "results.parquet")["decoder"])
    assert decoders == {"chance", "poisson-bayes", "lda", "pca+lda"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--encoder", "pac"), "unknown encoder 'pac'. Did you mean 'pca'?"),
        (("--encoder", "pca", "--encoder", "pca"), "expected each entry once, got pca"),
        (("--encoder", "sklearn.manifold:TSNE"), "has no transform"),
        (("--encoder", "nowhere.at:All"), "cannot import the encoder 'nowhere.at:All'"),
        (("--encoder", "pca", "--set", "encoder_params.vae.beta=2"), "encoders that are asked for (pca), got vae"),
        (("--encoder", "pca", "--set", "encoder_params.pca.colour=2"), "colour"),
        (("--encoder", "sklearn.decomposition:NMF", "--save-decoders"), "only encoders that spikesight has by"),
        (("--encoder", "sklearn.decomposition:PCA,sklearn.decomposition._pca:PCA"), "would both be called"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_before_anything_is_read(counts, tmp_path, options, said):
    done = benchmark(counts, "--decoders", "lda", "--out", tmp_path / "run", *options)
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_transformer_by_its_path_stands_in_rows_called_after_its_class(counts, tmp_path):
    out = tmp_path / "run"
    paths = (
        "--encoder",
        "sklearn.decomposition:NMF",
        "--encoder",
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
    )
    done = benchmark(counts, "--decoders", "lda", "--out", out, *paths)
    assert done.exit_code == 0, done.output
    decoders = set(pd.read_parquet(out / "results.parquet")["decoder"])
    assert decoders == {"chance", "lda", "NMF+lda", "LinearDiscriminantAnalysis+lda"}


def test_a_tuned_decoder_behind_an_encoder_chooses_among_its_own_candidates():
    bare, encoded = encoded_contender("pca", "lda", "default"), encoded_contender("pca", "lda", "tuned")
    assert bare.name == encoded.name == "pca+lda"
    assert encoded.n_compared == 5
    assert {name for candidate in encoded.candidates for name in candidate} == {"decoder__shrinkage"}
    assert encoded.constants == ["decoder__shrinkage"]


def test_constants_behind_an_encoder_are_not_searched():
    with pytest.raises(ConfigError, match="not searched"):
        encoded_contender("pca", "lda", "searched")
