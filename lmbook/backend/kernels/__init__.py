"""Reference kernels, in plain NumPy: each is the specification of its faster variants."""
