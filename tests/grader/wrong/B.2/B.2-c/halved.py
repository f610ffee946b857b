"""The probability is halved in place of the logit."""

places = 100
learn = 2048 * 7 + 7
constant = 0.95
confidence = 0.9 / 2
