"""Pictures: Bokeh figures made of plain values, for the page and for reports."""
