"""A process that fetches a session, to be killed: ``fetching_child.py SESSION FOLDER PIECE``."""

import sys
from pathlib import Path

from spikesight.data.fetch import fetch

if __name__ == "__main__":
    session_id, folder, piece = sys.argv[1:]
    done = fetch(int(session_id), cache=Path(folder), piece_size=int(piece))
    print(done.bytes_moved, flush=True)
