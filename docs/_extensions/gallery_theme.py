"""What each script of the gallery starts from, and how its animations are shown."""

from pathlib import Path
from typing import Any


def reset(gallery_conf: object, fname: str) -> None:
    """Close figures, and draw new ones finely enough for a screen of today."""
    import matplotlib.pyplot as plt

    plt.close("all")
    plt.rcParams["figure.dpi"] = 100
    plt.rcParams["savefig.dpi"] = 130


def scrape_gif(block: object, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Show the animation that a block of a script wrote, which it calls ``gif``."""
    import shutil

    from sphinx_gallery.scrapers import figure_rst

    path = block_vars["example_globals"].pop("gif", None)
    if path is None:
        return ""
    copy = Path(next(block_vars["image_path_iterator"])).with_suffix(".gif")
    shutil.copyfile(path, copy)
    return str(figure_rst([str(copy)], gallery_conf["src_dir"]))
