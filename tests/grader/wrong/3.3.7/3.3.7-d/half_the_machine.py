layout = pl.Layout(data=4, pipeline=8, tensor=8, chunks=4, recompute="selective")
