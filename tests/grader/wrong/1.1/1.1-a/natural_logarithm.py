def months_to_double(years, values):
    return 12 / np.polyfit(years - np.mean(years), np.log(values), 1)[0]
