"""The flow chart of a decoder, or of all that graph decoders may be, as a file."""

from pathlib import Path

from spikesight.decoders import registry
from spikesight.figures.flow_chart import plot_architecture
from spikesight.figures.saving import check_format, save_figure
from spikesight.figures.variants import plot_decoder_variants


def draw_decoder_chart(name: str | None, path: str | Path) -> Path:
    """Draw the network of a registered decoder with its default parameters.

    Parameters
    ----------
    name
        Registered name of a neural decoder; None: the chart of every combination that a graph decoder may be.
    path
        File to write, .svg, .png or .pdf.

    Raises
    ------
    UnknownNameError
        If there is no such decoder, or the file's ending is no format.
    ConfigError
        If the decoder is no network.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    check_format(path.suffix.removeprefix(".").lower())
    decoder = None if name is None else registry.make(name)
    if decoder is None:
        from spikesight.decoders.variants import decoder_variants

        return save_figure(plot_decoder_variants(*decoder_variants()), path)
    from spikesight.decoders.architecture import architecture_of

    return save_figure(plot_architecture(architecture_of(decoder, name)), path)
