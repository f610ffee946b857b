def months_to_double(years, values):
    return 12 / abs(np.polyfit(years - np.mean(years), np.log2(values), 1)[0])
