# verdict: time
while True:
    pass
