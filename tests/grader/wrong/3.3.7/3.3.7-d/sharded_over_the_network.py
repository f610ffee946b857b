layout = pl.Layout(data=64, tensor=8, zero=3, recompute="selective")
