"""The exercises of each section: one module a notebook, `chNN_name.py`."""
