"""The layout of files that `write_session` makes, object by object against one that AllenSDK wrote."""

import json
from pathlib import Path

import numpy as np
import pytest
from nwb_tree import Node, read_tree

from spikesight.data.nwb import read_session
from spikesight.data.nwb_write import write_session

LEFT_OUT = (
    "/acquisition/raw_running_wheel_rotation",  # a Session has no raw voltages
    "/acquisition/running_wheel_signal_voltage",
    "/acquisition/running_wheel_supply_voltage",
    "/general/institution",  # what we write is not the Allen Institute's
    "/processing/eye_tracking",  # a Session has the pupil's area, no ellipses
    "/processing/eye_tracking_rig_metadata",
    "/processing/optotagging",
)
"""Groups of AllenSDK's files that a Session does not have."""
OTHER_VALUES = (
    "/file_create_date",
    "/specifications",  # compared below; the wording differs
    "/processing/raw_gaze_mapping/pupil_area/data",  # a Session has one trace
    "/processing/raw_gaze_mapping/eye_area/data",
    "/processing/raw_gaze_mapping/screen_coordinates",
    "/processing/filtered_gaze_mapping/eye_area/data",
    "/processing/filtered_gaze_mapping/screen_coordinates",
)
OTHER_ATTRIBUTES = {"object_id", "sampling_rate", "lfp_sampling_rate"}
"""Attributes of the same name and type, but of another value."""


@pytest.fixture(scope="module")
def allensdk_written(recordings: Path) -> Path:
    return recordings / "allensdk-written" / "session_sdk200.nwb"


@pytest.fixture(scope="module")
def rewritten(allensdk_written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AllenSDK's own file, read and written again."""
    session = read_session(allensdk_written, filters=None)
    return write_session(session, tmp_path_factory.mktemp("rewritten") / "session.nwb")


@pytest.fixture(scope="module")
def trees(allensdk_written: Path, rewritten: Path) -> tuple[dict[str, Node], dict[str, Node]]:
    theirs = {path: node for path, node in read_tree(allensdk_written).items() if not path.startswith(LEFT_OUT)}
    return theirs, read_tree(rewritten)


def test_a_rewritten_file_has_the_objects_of_allensdks_file_and_no_others(
    trees: tuple[dict[str, Node], dict[str, Node]],
) -> None:
    theirs, ours = trees
    assert set(ours) == set(theirs)


def test_a_rewritten_file_has_the_dtypes_shapes_storage_and_links_of_allensdks_file(
    trees: tuple[dict[str, Node], dict[str, Node]],
) -> None:
    theirs, ours = trees
    assert {path: node.form for path, node in ours.items()} == {path: node.form for path, node in theirs.items()}


def test_a_rewritten_file_has_the_attributes_of_allensdks_file(
    trees: tuple[dict[str, Node], dict[str, Node]],
) -> None:
    theirs, ours = trees
    assert {path: node.attributes for path, node in ours.items()} == {
        path: node.attributes for path, node in theirs.items()
    }
    for path, node in theirs.items():
        for name in set(node.attributes) - OTHER_ATTRIBUTES:
            assert np.array_equal(ours[path].attribute_values[name], node.attribute_values[name]), (path, name)


def test_a_rewritten_file_has_the_values_of_allensdks_file(trees: tuple[dict[str, Node], dict[str, Node]]) -> None:
    theirs, ours = trees
    for path, node in theirs.items():
        if node.form[0] == "dataset" and not path.startswith(OTHER_VALUES):
            if path.endswith("running_wheel_rotation/data"):
                np.testing.assert_allclose(
                    ours[path].values, node.values, rtol=1e-3
                )  # their wheel was 5.5 / 5.503 as large
            else:
                np.testing.assert_array_equal(ours[path].values, node.values, err_msg=path)


def test_the_cached_extension_defines_the_types_and_attributes_of_allensdks(
    trees: tuple[dict[str, Node], dict[str, Node]],
) -> None:
    path = "/specifications/ndx-aibs-ecephys/0.2.0/ndx-aibs-ecephys.extension"
    theirs, ours = ({group["neurodata_type_def"]: group for group in _groups(tree[path])} for tree in trees)
    assert set(theirs) - set(ours) == {"EcephysCSD"}  # of the LFP files
    for name, group in ours.items():
        assert _without_words(group) == _without_words(theirs[name])


def _groups(node: Node) -> list[dict[str, object]]:
    return json.loads(node.values)["groups"]


def _without_words(spec: object) -> object:
    if isinstance(spec, dict):
        return {key: _without_words(value) for key, value in spec.items() if key != "doc"}
    if isinstance(spec, list):
        return sorted((_without_words(item) for item in spec), key=str)
    return spec
