layout = pl.Layout(data=8, pipeline=8, tensor=8, recompute="selective")
