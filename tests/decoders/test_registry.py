import sys

import pytest

from spikesight.decoders import DecoderSpec, registry
from spikesight.decoders.linear import Ridge
from spikesight.errors import ConfigError, UnknownNameError

SPEC = DecoderSpec("spikesight.decoders.linear:Ridge", "ridge again")


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """Install a package with one module and some entry points, as pip would."""

    def install(module, **entries):
        (tmp_path / "plugged_in.py").write_text(module)
        info = tmp_path / "plugged_in-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-in\nVersion: 1.0\n")
        lines = [f"{name.replace('_', '-')} = {value}" for name, value in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(["[spikesight.decoders]", *lines, ""]))
        monkeypatch.syspath_prepend(tmp_path)

    yield install
    sys.modules.pop("plugged_in", None)


def test_the_table_holds_the_decoders_of_the_package():
    assert registry.names() == [
        "chance",
        "logistic",
        "pca-logistic",
        "svc-linear",
        "svc-poly",
        "svc-rbf",
        "ridge",
        "poisson-bayes",
        "lda",
        "fa-lda",
        "mlp",
        "mlp-deep",
        "lstm",
        "gru",
        "transformer",
        "cnn",
        "gcn",
        "gat",
        "st-gnn",
        "st-gcn",
        "st-gat",
        "st-transformer",
        "ensemble",
    ]
    assert registry.DEFAULT == "fa-lda"


def test_get_imports_a_class_and_make_an_estimator():
    assert registry.get("ridge") is Ridge
    assert registry.make("ridge", alpha=3.0).alpha == 3.0
    assert registry.name_of(Ridge) == "ridge"


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'fa-lda'"):
        registry.get("falda")


def test_an_unknown_name_that_is_near_none_is_not_guessed_at():
    with pytest.raises(UnknownNameError, match=r"'nosuch'\. Known: "):
        registry.get("nosuch")


def test_register_adds_a_decoder_and_refuses_a_second_of_that_name():
    registry.register("mine", SPEC)
    try:
        assert registry.get("mine") is Ridge
        assert "mine" in registry.names()
        with pytest.raises(ConfigError, match=r"'mine' is taken by spikesight.decoders.linear:Ridge"):
            registry.register("mine", SPEC)
    finally:
        registry.unregister("mine")
    assert "mine" not in registry.names()
    with pytest.raises(UnknownNameError):
        registry.unregister("mine")


def test_a_class_that_is_not_registered_has_no_name():
    with pytest.raises(ConfigError, match="no registered decoder"):
        registry.name_of(type("Ridge", (), {}))


def test_a_path_that_is_no_class_is_refused():
    registry.register("mine", DecoderSpec("math:pi", "no class"))
    try:
        with pytest.raises(ConfigError, match="math:pi to be a class"):
            registry.get("mine")
    finally:
        registry.unregister("mine")


def test_a_plug_in_is_a_class_or_a_spec(plug_in):
    plug_in(
        "from spikesight.decoders import DecoderSpec\n"
        "class Mine:\n    '''Decode well.\n\n    More.\n    '''\n"
        "SPEC = DecoderSpec('plugged_in:Mine', 'a spec', ({'a': 1},), 'flat')\n",
        my_class="plugged_in:Mine",
        my_spec="plugged_in:SPEC",
    )
    assert registry.names()[-2:] == ["my-class", "my-spec"]
    assert registry.spec("my-class") == DecoderSpec("plugged_in:Mine", "Decode well.")
    assert registry.spec("my-spec").candidates == ({"a": 1},)
    assert registry.get("my-class") is registry.get("my-spec")
    assert registry.broken() == {}


@pytest.mark.parametrize("statement", ["import no_such_module", "1 / 0", "raise RuntimeError('no GPU')"])
def test_a_plug_in_that_fails_to_import_is_broken_not_fatal(plug_in, statement):
    plug_in(statement, my_decoder="plugged_in:Mine")
    assert "my-decoder" not in registry.names()
    assert list(registry.broken()) == ["my-decoder"]
    assert "plugged_in:Mine: " in registry.broken()["my-decoder"]
    assert registry.get("ridge") is Ridge
    with pytest.raises(ConfigError, match="'my-decoder' is broken"):
        registry.get("my-decoder")


def test_a_plug_in_without_the_class_or_with_another_thing_is_broken(plug_in):
    plug_in("Mine = 3", gone="plugged_in:Gone", number="plugged_in:Mine")
    assert registry.broken().keys() == {"gone", "number"}
    assert "expected a decoder class or a DecoderSpec, got int" in registry.broken()["number"]


def test_a_plug_in_cannot_take_the_name_of_a_decoder_of_the_package(plug_in):
    plug_in("class Mine: pass", ridge="plugged_in:Mine")
    assert registry.get("ridge") is Ridge
    assert "already taken" in registry.broken()["ridge"]


def test_candidates_still_differ_in_a_session_of_few_units():
    n_units = 60
    for name in registry.names():
        settings = [dict(candidate) for candidate in registry.spec(name).candidates]
        for size in ("n_components", "q"):
            settings = [{**one, size: min(one[size], n_units)} if size in one else one for one in settings]
        distinct = {str(sorted(one.items())) for one in settings}
        least = 3 if name == "fa-lda" else len(settings)  # q beyond the number of units is no further choice
        assert len(distinct) >= least, name
