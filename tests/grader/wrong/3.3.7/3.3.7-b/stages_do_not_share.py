def step_seconds(
    flops, parameters, batch, data, stages, chunks, peak, efficiency, bandwidth
):
    microbatches = batch // data
    compute = flops * batch / (data * peak * efficiency)
    bubble = (stages - 1) / (chunks * microbatches) * compute
    held = 2 * parameters / stages
    return {
        "compute": compute,
        "bubble": bubble,
        "data": 2 * (data - 1) / data * held / bandwidth,
    }
