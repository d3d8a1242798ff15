"""The smallest file that is a session, written by hand so that a test can spoil any part of it."""

import h5py
import numpy as np

SPIKE_TIMES = [0.1, 0.2, 1.0, 2.0, 3.0]
TEXT = h5py.string_dtype()


def write_minimal(path):
    """Units 10 (two spikes), 11 (none) and 12 (three); three natural scenes; a probe of two channels."""
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.2.5"
        file["identifier"] = "715093703"
        units = file.create_group("units")
        units.attrs["colnames"] = np.array(["peak_channel_id", "quality", "spike_times", "waveform_mean"], dtype=TEXT)
        units["id"] = [10, 11, 12]
        units["spike_times"] = SPIKE_TIMES
        units["spike_times_index"] = [2, 2, 5]
        units["spike_amplitudes"] = np.arange(5) / 10
        units["spike_amplitudes_index"] = [2, 2, 5]
        units["waveform_mean"] = np.arange(24.0).reshape(6, 4)
        units["waveform_mean_index"] = [2, 4, 6]
        units["peak_channel_id"] = [502, 501, 502]
        units.create_dataset("quality", data=["good", "good", "noise"], dtype=TEXT)
        electrodes = file.create_group("general/extracellular_ephys/electrodes")
        electrodes["id"] = [501, 502]
        electrodes.create_dataset("location", data=["None", "VISp"], dtype=TEXT)
        electrodes.create_dataset("group_name", data=["probeA", "probeA"], dtype=TEXT)
        electrodes["probe_vertical_position"] = [20, 40]
        electrodes["valid_data"] = [True, True]
        scenes = file.create_group("intervals/natural_scenes_presentations")
        scenes["id"] = [0, 1, 2]
        scenes["start_time"] = [0.0, 0.25, 0.5]
        scenes["stop_time"] = [0.25, 0.5, 0.75]
        scenes["frame"] = [7.0, -1.0, 7.0]
        scenes["stimulus_block"] = [0.0, 0.0, 0.0]
        scenes.create_dataset("tags", data=["stimulus_time_interval"] * 3, dtype=TEXT)
        scenes["tags_index"] = [1, 2, 3]
    return path
