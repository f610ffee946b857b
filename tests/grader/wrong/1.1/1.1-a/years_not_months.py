def months_to_double(years, values):
    return 1 / np.polyfit(years - np.mean(years), np.log2(values), 1)[0]
