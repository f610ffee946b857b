layout = pl.Layout(data=8, pipeline=8, tensor=8, chunks=4, recompute="none")
