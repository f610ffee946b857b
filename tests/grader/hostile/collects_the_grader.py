# verdict: tampered
def sigmoid(x):
    return x


import gc

print(len(gc.get_objects()))
