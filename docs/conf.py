"""Sphinx's configuration: `make docs` builds the site of these pages into `site/`."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "optio-agents"
author = "the optio-agents maintainers"
release = version = installed_version("optio-agents")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["images"]
html_theme = "furo"
html_title = f"optio-agents {release}"

# A single backtick in a docstring is code, as in Markdown.
default_role = "code"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_numpy_docstring = False
napoleon_use_rtype = False
myst_heading_anchors = 3


def setup(app: Sphinx) -> dict[str, Any]:
    """Show diagrams as the text that they are: the page loads no program from elsewhere to draw them."""
    app.add_lexer("mermaid", TextLexer)
    return {"parallel_read_safe": True}
