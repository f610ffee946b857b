def causal_conv(x, w, dilation):
    taps, length = w.shape[2], x.shape[1]
    padded = np.pad(x, ((0, 0), (taps - 1, 0)))
    return sum(w[:, :, i] @ padded[:, i : i + length] for i in range(taps))
