"""How Sphinx builds these pages."""

import importlib.util

from solar_orch import __version__

project = "solar_orch"
author = "The solar_orch developers"
copyright = "The solar_orch developers, Apache License 2.0"
version = release = __version__

extensions = ["oslo_config.sphinxext", "stevedore.sphinxext", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "examples", "first-part"]
nitpicky = False
highlight_language = "text"

html_theme = "furo" if importlib.util.find_spec("furo") else "alabaster"
html_title = f"solar_orch {__version__}"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
