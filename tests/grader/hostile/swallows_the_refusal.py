# verdict: files
def sigmoid(x):
    return x


try:
    open("/tmp/lmbook_escaped.txt", "w")
except PermissionError:
    pass
