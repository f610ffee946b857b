# verdict: graded
answer = input("name? ")
