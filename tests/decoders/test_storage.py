import json
import pickle
import zipfile

import numpy as np
import pytest
from sklearn.svm import SVC

from spikesight.decoders import registry
from spikesight.decoders.storage import ARRAYS, DESCRIPTION, load_decoder, save_decoder
from spikesight.errors import ConfigError, DecoderError, FileFormatError

UNIT_IDS = np.array([950, 11, 42])


def trials(seed=0, n_trials=60, n_bins=2):
    rng = np.random.default_rng(seed)
    y = rng.integers(4, size=n_trials)
    X = rng.poisson(1 + 3 * np.eye(4)[y][:, None, :3] * np.ones((1, n_bins, 1)))
    return X.astype(np.uint8), y


@pytest.fixture
def stored(tmp_path):
    """A stored decoder, for tests that damage it."""
    X, y = trials()
    save_decoder(registry.make("fa-lda").fit(X, y), tmp_path / "decoder", unit_ids=UNIT_IDS, meta={})
    return tmp_path / "decoder"


def rewrite(folder, **changes):
    path = folder / DESCRIPTION
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("name", registry.names())
@pytest.mark.parametrize("n_bins", [1, 3])
def test_a_loaded_decoder_predicts_bit_for_bit_what_it_predicted_before(name, n_bins, tmp_path):
    X, y = trials(n_bins=n_bins)
    new, _ = trials(seed=1, n_bins=n_bins)
    decoder = registry.make(name).fit(X, y)
    save_decoder(decoder, tmp_path / "d", unit_ids=UNIT_IDS, meta={"session": 7, "accuracy": np.float64(0.5)})
    loaded, meta = load_decoder(tmp_path / "d")
    assert type(loaded) is type(decoder)
    assert loaded.get_params() == decoder.get_params()
    assert meta == {"session": 7, "accuracy": 0.5, "unit_ids": [950, 11, 42]}
    for method in ("predict", "predict_proba", "decision_function"):
        if hasattr(decoder, method):
            np.testing.assert_array_equal(getattr(loaded, method)(new), getattr(decoder, method)(new))


@pytest.mark.parametrize("dtype", [object, "<U40", np.int64, np.float64, bool])
def test_labels_of_every_kind_come_back(dtype, tmp_path):
    X, y = trials()
    names = np.array(["x_position=10, y_position=-20", "ß", "c", "d"])
    labels = names[y].astype(dtype) if dtype in (object, "<U40") else (y % 2).astype(dtype)
    save_decoder(registry.make("ridge").fit(X, labels), tmp_path / "d", unit_ids=UNIT_IDS, meta={})
    loaded, _ = load_decoder(tmp_path / "d")
    assert loaded.classes_.dtype == np.unique(labels).dtype
    np.testing.assert_array_equal(loaded.classes_, np.unique(labels))


def test_saving_replaces_a_stored_decoder_and_leaves_nothing_else_behind(stored):
    X, y = trials()
    save_decoder(registry.make("ridge").fit(X, y), stored, unit_ids=UNIT_IDS, meta={})
    assert type(load_decoder(stored)[0]) is registry.get("ridge")
    assert [path.name for path in stored.parent.iterdir()] == [stored.name]


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    X, y = trials()
    with pytest.raises(DecoderError, match="choose another folder"):
        save_decoder(registry.make("ridge").fit(X, y), tmp_path, unit_ids=UNIT_IDS, meta={})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_full_disk_leaves_the_old_decoder_and_no_half_written_one(stored, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    X, y = trials()
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(DecoderError, match="No space left"):
        save_decoder(registry.make("ridge").fit(X, y), stored, unit_ids=UNIT_IDS, meta={})
    assert [path.name for path in stored.parent.iterdir()] == [stored.name]
    assert type(load_decoder(stored)[0]) is registry.get("fa-lda")


def test_a_decoder_that_is_not_fitted_is_not_stored(tmp_path):
    with pytest.raises(DecoderError, match="call fit first"):
        save_decoder(registry.make("ridge"), tmp_path / "d", unit_ids=UNIT_IDS, meta={})


def test_a_class_that_is_not_registered_is_not_stored(tmp_path):
    decoder = SVC().fit(np.eye(3), [0, 1, 2])
    decoder.n_units_ = 3
    with pytest.raises(ConfigError, match="no registered decoder"):
        save_decoder(decoder, tmp_path / "d", unit_ids=UNIT_IDS, meta={})


def test_state_that_only_pickle_could_store_is_refused(tmp_path):
    X, y = trials()
    decoder = registry.make("ridge").fit(X, y)
    decoder.inner_ = SVC()
    with pytest.raises(DecoderError, match=r"Ridge\.inner_, a SVC"):
        save_decoder(decoder, tmp_path / "d", unit_ids=UNIT_IDS, meta={})


def test_a_random_state_that_is_no_number_is_refused(tmp_path):
    X, y = trials()
    decoder = registry.make("fa-lda", random_state=np.random.RandomState(0)).fit(X, y)
    with pytest.raises(DecoderError, match="random_state"):
        save_decoder(decoder, tmp_path / "d", unit_ids=UNIT_IDS, meta={})


@pytest.mark.parametrize("unit_ids", [[1, 2], [[1, 2, 3]], [1, 2, None]])
def test_unit_ids_that_do_not_fit_are_refused(unit_ids, tmp_path):
    X, y = trials()
    with pytest.raises(DecoderError, match="expected 3 unit ids"):
        save_decoder(registry.make("ridge").fit(X, y), tmp_path / "d", unit_ids=unit_ids, meta={})


def test_meta_that_json_cannot_hold_is_refused(tmp_path):
    X, y = trials()
    with pytest.raises(DecoderError, match="JSON-able"):
        save_decoder(registry.make("ridge").fit(X, y), tmp_path / "d", unit_ids=UNIT_IDS, meta={"file": object()})


@pytest.mark.parametrize("up", [1, 2])
def test_a_folder_of_decoders_names_them(up, tmp_path):
    folder = tmp_path / "decoders" / "715093703-ridge"
    save_decoder(registry.make("ridge").fit(*trials()), folder, unit_ids=UNIT_IDS, meta={})
    with pytest.raises(FileFormatError, match=r"holds 1\. Give one of them: .*715093703-ridge$"):
        load_decoder(folder.parents[up - 1])


def test_an_empty_or_missing_folder_is_no_decoder(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileFormatError, match=DESCRIPTION):
            load_decoder(folder)


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", '{"format": "other"}', "[" * 100_000, "\udcff"])
def test_a_description_of_something_else_is_refused(text, stored):
    (stored / DESCRIPTION).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FileFormatError, match=DESCRIPTION):
        load_decoder(stored)


def test_a_newer_format_is_refused_with_both_versions(stored):
    rewrite(stored, format_version=2)
    with pytest.raises(FileFormatError, match="format version 2, this is version 1"):
        load_decoder(stored)


@pytest.mark.parametrize("key", ["decoder", "params", "numbers", "texts", "meta"])
def test_a_missing_part_of_the_description_is_named(key, stored):
    rewrite(stored, **{key: 7})
    with pytest.raises(FileFormatError, match=key):
        load_decoder(stored)


def test_a_decoder_that_is_not_here_is_named(stored):
    rewrite(stored, decoder="fa-ldaa")
    with pytest.raises(DecoderError, match="unknown decoder 'fa-ldaa'"):
        load_decoder(stored)


def test_a_class_named_in_the_file_is_never_imported(stored, tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemExit('the file ran')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("evil:Evil", "evil", "spikesight.decoders.linear:Ridge"):
        rewrite(stored, decoder=name)
        with pytest.raises(DecoderError, match="unknown decoder"):
            load_decoder(stored)


def test_parameters_that_the_decoder_does_not_have_are_refused(stored):
    rewrite(stored, params={"q": 3, "shell": "rm"})
    with pytest.raises(DecoderError, match="shell"):
        load_decoder(stored)


@pytest.mark.parametrize("name", ["predict", "__class__", "_fit", "__dict__", "q", "_estimator_type_"])
def test_only_fitted_attributes_are_set(name, stored):
    rewrite(stored, numbers={name: 1})
    with pytest.raises(FileFormatError, match="no fitted attribute"):
        load_decoder(stored)


def test_pickled_objects_in_the_arrays_are_never_loaded(stored, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (exec, ("raise SystemExit('the file ran')",))

    np.savez(stored / ARRAYS, coef_=np.array([Bomb()], dtype=object))
    with pytest.raises(FileFormatError, match="objects"):
        load_decoder(stored)
    (stored / ARRAYS).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FileFormatError, match="npz"):
        load_decoder(stored)


@pytest.mark.parametrize("size", [0, 10, 1000])
def test_truncated_arrays_are_refused(size, stored):
    path = stored / ARRAYS
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(FileFormatError, match="npz"):
        load_decoder(stored)


def test_missing_arrays_are_named(stored):
    with np.load(stored / ARRAYS) as arrays:
        kept = {name: arrays[name] for name in arrays.files}
    for name in ("classes_", "unit_ids", "coef_"):
        np.savez(stored / ARRAYS, **{key: value for key, value in kept.items() if key != name})
        with pytest.raises(FileFormatError, match=r"classes|unit id|coef_"):
            load_decoder(stored)
    np.savez(stored / ARRAYS, **{**kept, "coef_": kept["coef_"][:, :-1]})
    with pytest.raises(FileFormatError, match="do not make a decoder"):
        load_decoder(stored)
    (stored / ARRAYS).unlink()
    with pytest.raises(FileFormatError, match=ARRAYS):
        load_decoder(stored)


def test_a_trial_of_impossible_size_takes_no_memory(stored):
    numbers = json.loads((stored / DESCRIPTION).read_text())["numbers"]
    rewrite(stored, numbers={**numbers, "n_bins_": 10**15})
    with pytest.raises(FileFormatError, match="do not make a decoder"):
        load_decoder(stored)


def test_the_stored_files_are_plain(stored):
    assert sorted(path.name for path in stored.iterdir()) == [ARRAYS, DESCRIPTION]
    with zipfile.ZipFile(stored / ARRAYS) as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())
