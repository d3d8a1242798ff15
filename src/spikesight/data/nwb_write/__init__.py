"""A Session as an NWB file in the exact layout of the Allen Brain Observatory's Neuropixels files.

The layout is written with plain h5py, since no version of pynwb writes what AllenSDK 2.0, AllenSDK 2.16 and pynwb 4
can all read: NWB 2.2.5 and its definitions cached, every dataset contiguous and uncompressed.
"""

from spikesight.data.nwb_write.session import write_session

__all__ = ["write_session"]
