"""Sphinx's settings for the reading site. `python tools/site.py` stages the pages and calls it."""

import os
import sys
from pathlib import Path

ROOT = Path(os.environ["VIT_TUTORIAL_SITE_ROOT"])  # this file is copied beside the staged pages
sys.path[:0] = [str(ROOT / "tools"), str(ROOT)]

import vit_tutorial  # noqa: E402
from notebooks import REPOSITORY  # noqa: E402

project = "vit_tutorial"
version = release = vit_tutorial.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "site_sphinx"]
exclude_patterns = ["**/.ipynb_checkpoints"]

nb_execution_mode = "off"  # the stored outputs are what was tested
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
# Lessons begin sections with a bold line rather than a deeper title.
suppress_warnings = ["myst.header"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature has them
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # those of torch.nn.Module are long, and not ours
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "vit_tutorial"
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Only lessons and the reference have pages beside them to list.
html_sidebars = {page: [] for page in ("index", "cards", "glossary", "docs/*", "[A-Z]*")}
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "github_url": REPOSITORY,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": [],
    "footer_center": [],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_math_renderer = "mathml"
