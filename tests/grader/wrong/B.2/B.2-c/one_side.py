"""The places along one side."""

import math

places = 10
learn = 2048 * 7 + 7
constant = 0.95
confidence = 1 / (1 + math.exp(-math.log(9) / 2))
