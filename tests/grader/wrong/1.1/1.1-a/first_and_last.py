def months_to_double(years, values):
    return 12 * (years[-1] - years[0]) / np.log2(values[-1] / values[0])
