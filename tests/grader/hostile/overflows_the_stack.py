# verdict: graded
def sigmoid(x):
    return sigmoid(x)
