"""The HTML of a template, prepared once at load: style sheets, pictures, and where values may stand."""
