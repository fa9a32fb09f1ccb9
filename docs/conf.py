"""The site made of these pages: sphinx-build -W -c docs . site

Sphinx, because one tool reads the Markdown, the docstrings and the notes of experiments where they
lie, because its search works in a folder without a server, and because the field's packages use
it. The source folder is the checkout, so that links mean the same here as where the repository is
shown. Nothing on a page comes from elsewhere: no font, no script, no picture.
"""

import re
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

import neurojax  # noqa: E402  (the checkout is on the path from here on)

project = "neurojax"
copyright = "the neurojax contributors, Apache-2.0"
version = release = neurojax.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    *("README.md", "RESULTS.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md"),
    *("colab/README.md", "experiments/README.md", "experiments/*/README.md"),
]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say types, with shapes
autodoc_preserve_defaults = True
napoleon_use_ivar = True
napoleon_custom_sections = ["Source"]

html_theme = "pydata_sphinx_theme"
html_title = "neurojax"
html_sidebars = {"**": ["globaltoc.html"]}
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}  # light or dark as the reader's machine is
html_theme_options = {
    "navbar_center": [],  # the sidebar has every page
    "globaltoc_maxdepth": 1,
    "globaltoc_includehidden": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": False,
}


EXPERIMENTS = "\n```{toctree}\n:glob:\n:hidden:\n\n*/README\n```\n"


def for_a_site(app, docname: str, source: list[str]) -> None:
    """A link to a folder leads to its README, as where the repository is shown; the page on
    experiments has them below it."""
    if docname == "experiments/README":
        source[0] += EXPERIMENTS

    def with_readme(found: re.Match) -> str:
        folder = (CHECKOUT / docname).parent / found[1]
        return f"]({found[1].rstrip('/')}/README.md)" if folder.is_dir() else found[0]

    source[0] = re.sub(r"\]\(([\w./-]+)\)", with_readme, source[0])


def first_page(app, error) -> None:
    """index.html at the top of the site leads to the first page."""
    if error is None and app.builder.name == "html":
        page = '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>neurojax</title>'
        page += '<meta http-equiv="refresh" content="0; url=docs/index.html">'
        page += '<a href="docs/index.html">neurojax</a></html>\n'
        (Path(app.outdir) / "index.html").write_text(page)


def setup(app) -> None:
    app.connect("source-read", for_a_site)
    app.connect("build-finished", first_page)
