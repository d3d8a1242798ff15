"""A file for HDF5 to write to that never tells HDF5 of a failure."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Sink(io.FileIO):
    """A new file that remembers its first failed write and from then on takes everything and keeps nothing.

    The HDF5 library crashes the whole process when its own writes fail (HDF5 1.14: segmentation fault on closing a
    file on a full disk). So the failure is kept from it, and raised by whoever looks at ``failure``.

    Attributes
    ----------
    failure
        The first error, or None.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "x+")
        self.failure: OSError | None = None

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write all of ``data``, or remember why not."""
        view = memoryview(data).cast("B")
        rest = view
        while rest and self.failure is None:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.failure = error
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the size of the file, or remember why not."""
        if self.failure is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self.failure = error
        return self.tell() if size is None else size

    def check(self) -> None:
        """Raise the failure, if there was one."""
        if self.failure is not None:
            raise self.failure
