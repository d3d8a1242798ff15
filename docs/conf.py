"""How Sphinx builds the documentation site; `make docs` calls it."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

import spikesight  # noqa: E402  (after the path is set)

os.environ.setdefault("MPLBACKEND", "agg")

project = "spikesight"
author = "The spikesight developers"
project_copyright = author
version = release = spikesight.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "reference_pages",
]
exclude_patterns = ["_build", "_templates", "_extensions", "gallery_src", "gallery/**.ipynb", "gallery/**.py"]
templates_path = ["_templates"]
default_role = "literal"
nitpicky = False

# Markdown. Notebooks are shown as they were stored; `make notebooks` runs them.
nb_execution_mode = "off"
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 4
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}

# Reference pages from docstrings.
autosummary_generate = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autodoc_default_options = {"show-inheritance": False}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 100

# The gallery: one script per figure or close family, drawn when the site is built.
sphinx_gallery_conf = {
    "examples_dirs": ["gallery_src"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"plot_",
    "ignore_pattern": r"gallery_data",
    "within_subsection_order": "FileNameSortKey",
    "reset_modules": ("matplotlib", "gallery_theme.reset"),
    "image_scrapers": ("matplotlib", "gallery_theme.scrape_gif"),
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "abort_on_example_error": True,
    "image_srcset": [],
    "nested_sections": False,
    "capture_repr": ("_repr_html_", "__repr__"),
}

html_theme = "furo"
html_title = "spikesight"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0072b2", "color-brand-content": "#0072b2"},
    "dark_css_variables": {"color-brand-primary": "#56b4e9", "color-brand-content": "#56b4e9"},
}
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
