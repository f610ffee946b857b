# verdict: files
with open("../escaped.txt", "w") as file:
    file.write("out")
