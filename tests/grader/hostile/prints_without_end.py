# verdict: output
while True:
    print("All work and no play makes Jack a dull boy")
