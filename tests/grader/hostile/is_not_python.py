# verdict: graded
def sigmoid(x:
    return
