"""Probes and their channels, as in the files' electrodes table."""

from typing import Final

import numpy as np
import pandas as pd

from spikesight.data.simulation.areas import AREAS
from spikesight.data.simulation.presets import Preset

FIRST_PROBE_ID: Final = 810755797
FIRST_CHANNEL_ID: Final = 850126000
SITE_SPACING: Final = 20
"""Two sites every 20 um along the shank (Neuropixels 1.0)."""
COLUMNS: Final = (43, 11, 59, 27)
"""Horizontal places of four consecutive sites, um."""
REFERENCE_SITE: Final = 191
"""The site of a Neuropixels 1.0 probe that records no neural signal."""


def probe_ids(preset: Preset) -> dict[str, int]:
    """Return name -> id of the preset's probes."""
    return {probe.name: FIRST_PROBE_ID + 2 * number for number, probe in enumerate(preset.probes)}


def make_channels(preset: Preset) -> pd.DataFrame:
    """Lay out the channels of all probes, from each tip up; index ``channel_id``, columns as ``Session.channels``."""
    n_sites = preset.channels_per_probe
    ids = probe_ids(preset)
    tables = []
    for number, probe in enumerate(preset.probes):
        edges = np.rint(n_sites * np.cumsum([stretch.channels for stretch in probe.stretches])).astype(int)
        site = np.arange(n_sites)
        which = np.minimum(np.searchsorted(edges, site, side="right"), len(probe.stretches) - 1)
        location = np.array([stretch.area for stretch in probe.stretches], "O")[which]
        height = SITE_SPACING * (site // 2 + 1)
        depth = 600.0 + (height.max() - height)
        lateral = 8600.0 - 350.0 * number
        outside = location == ""
        tables.append(
            pd.DataFrame(
                {
                    "x": np.where(outside, np.nan, 8600.0 - 260.0 * number - 0.2 * depth),
                    "y": np.where(outside, np.nan, depth),
                    "z": np.where(outside, np.nan, lateral + 0.1 * depth),
                    "location": location,
                    "group_name": probe.name,
                    "probe_id": ids[probe.name],
                    "local_index": site,
                    "probe_vertical_position": height,
                    "probe_horizontal_position": np.array(COLUMNS)[site % 4],
                    "valid_data": site != REFERENCE_SITE,
                },
                index=pd.Index(FIRST_CHANNEL_ID + 2 * (number * 1000 + site), name="channel_id"),
            )
        )
    return pd.concat(tables)


def areas_of(preset: Preset) -> list[str]:
    """Return the areas that the preset records from, in the order of the hierarchy."""
    seen = {stretch.area for probe in preset.probes for stretch in probe.stretches if stretch.area}
    return [area for area in AREAS if area in seen]
