def causal_conv(x, w, dilation):
    taps, length = w.shape[2], x.shape[1]
    reach = (taps - 1) * dilation
    padded = np.pad(x, ((0, 0), (reach // 2, reach - reach // 2)))
    return sum(
        w[:, :, i] @ padded[:, i * dilation : i * dilation + length]
        for i in range(taps)
    )
