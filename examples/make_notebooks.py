"""Make a notebook of every script of this folder: run it, keep its tables and pictures.

``make notebooks`` calls it. Notebooks hold nothing that differs from run to run: no times, no ids, no machine.
"""

import argparse
import os
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
SETTINGS = "%matplotlib inline\n%config InlineBackend.figure_formats = ['png']\n"
DPI = 72
SECONDS = 600
"""That a cell may take."""


def scripts() -> list[Path]:
    """List the scripts that are notebooks as well."""
    return sorted(file for file in HERE.glob("*.py") if file.read_text(encoding="utf-8").startswith("# %%"))


def read_script(file: Path) -> Any:
    """Read a script as a notebook without outputs; its cells are numbered, so that they are alike each time."""
    import jupytext

    notebook = jupytext.read(file)
    for number, cell in enumerate(notebook.cells):
        cell["id"], cell["metadata"] = f"cell-{number}", {}
    notebook["metadata"] = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook["nbformat_minor"] = 5
    return notebook


def run(notebook: Any) -> Any:
    """Run all cells in order, and take out what tells when and where."""
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell

    settings = f"{SETTINGS}import matplotlib; matplotlib.rcParams['figure.dpi'] = {DPI}"
    notebook.cells.insert(0, new_code_cell(settings))
    where = {"metadata": {"path": HERE}}
    NotebookClient(notebook, timeout=SECONDS, kernel_name=KERNEL["name"], resources=where).execute()
    del notebook.cells[0]
    for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
        cell["execution_count"], cell["metadata"] = count, {}
        cell["outputs"] = [_kept(output, count) for output in cell.outputs if _is_result(output)]
    notebook["metadata"] = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return notebook


def _is_result(output: Any) -> bool:
    """Tell a table or picture from what is printed meanwhile, and from the status of Ray, which tells times."""
    return output.output_type == "execute_result" or "image/png" in output.get("data", {})


def _kept(output: Any, count: int) -> Any:
    if "execution_count" in output:
        output["execution_count"] = count
    return output


def main() -> None:
    """Run the scripts that are named, or all."""
    import nbformat

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="without .py; all if none is named")
    asked = parser.parse_args().names
    os.environ["COLUMNS"] = "100"
    for file in scripts():
        if asked and file.stem not in asked:
            continue
        notebook = run(read_script(file))
        nbformat.validate(notebook)
        target = file.with_suffix(".ipynb")
        target.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
