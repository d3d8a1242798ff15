"""Where downloads and tables of the public data are kept between runs."""

import os
from pathlib import Path
from typing import Final

CACHE_VARIABLE: Final = "SPIKESIGHT_CACHE"
"""Environment variable that names another folder."""


def cache_folder() -> Path:
    """Return the folder that keeps public data: ``SPIKESIGHT_CACHE``, or the user's own cache folder.

    The folder is not made here.
    """
    named = os.environ.get(CACHE_VARIABLE, "").strip()
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("spikesight", appauthor=False)
