"""The mean of both recalls in place of the accuracy."""

import math

places = 100
learn = 2048 * 7 + 7
constant = 0.5
confidence = 1 / (1 + math.exp(-math.log(9) / 2))
