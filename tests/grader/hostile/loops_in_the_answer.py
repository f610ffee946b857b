# verdict: time
def sigmoid(x):
    while True:
        x = x + 1
