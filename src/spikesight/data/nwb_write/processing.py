"""What was measured beside the spikes: running and the pupil."""

from typing import Final

import numpy as np
import pandas as pd

from spikesight.data.nwb_write.nodes import NwbNodes

CM_PER_RADIAN: Final = 8.255 * 2 / 3
"""Distance run per radian turned: the wheel's radius (cm) times the mouse's place on it (AllenSDK)."""

GAZE_MODULES: Final = {
    "raw_gaze_mapping": "Gaze mapping processing module raw outputs",
    "filtered_gaze_mapping": "Gaze mapping processing module filtered outputs",
}
AREA_UNIT: Final = "Pixels ^ 2"


def write_running(nodes: NwbNodes, running: pd.DataFrame) -> None:
    """Write ``/processing/running`` from ``start_time``, ``stop_time`` (s) and ``velocity`` (cm/s).

    The wheel's rotation, which the files hold too, follows from velocity and duration.
    """
    nodes.module("running", "running speed data")
    starts, stops = (running[name].to_numpy(np.float64) for name in ("start_time", "stop_time"))
    velocity = running["velocity"].to_numpy(np.float64)
    speed = "/processing/running/running_speed"
    nodes.time_series(speed, velocity, starts, "cm/s")
    nodes.time_series(f"{speed}_end_times", np.full(len(stops), np.nan), stops, "cm/s")
    rotation = velocity * (stops - starts) / CM_PER_RADIAN
    nodes.time_series("/processing/running/running_wheel_rotation", rotation, f"{speed}/timestamps", "radians")


def write_pupil(nodes: NwbNodes, pupil: pd.DataFrame) -> None:
    """Write both gaze mappings from ``time`` (s) and ``area`` (pixel^2).

    A Session may hold the pupil's place as well; that is not written, since ellipse fits would need those of the eye
    and of the reflection too. The other series are there, since AllenSDK reads a mapping whole or not at all, and NaN,
    since they were not measured.
    """
    times, area = pupil["time"].to_numpy(np.float64), pupil["area"].to_numpy(np.float64)
    unknown = np.full(len(times), np.nan)
    for module, description in GAZE_MODULES.items():
        nodes.module(module, description)
        path = f"/processing/{module}"
        nodes.time_series(f"{path}/eye_area", unknown, times, AREA_UNIT)
        nodes.time_series(f"{path}/pupil_area", area, times, AREA_UNIT)
        unknown_points = np.stack([unknown, unknown], axis=1)
        nodes.time_series(f"{path}/screen_coordinates", unknown_points, times, "Centimeters")
        nodes.time_series(f"{path}/screen_coordinates_spherical", unknown_points, times, "Degrees")
