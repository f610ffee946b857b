fits = 605
lucky = 1 - 0.9**20
passes = 4 * 64
