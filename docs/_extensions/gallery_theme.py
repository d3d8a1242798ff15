"""What each script of the gallery starts from."""


def reset(gallery_conf: object, fname: str) -> None:
    """Close figures, and draw new ones finely enough for a screen of today."""
    import matplotlib.pyplot as plt

    plt.close("all")
    plt.rcParams["figure.dpi"] = 100
    plt.rcParams["savefig.dpi"] = 130
