# verdict: exit
exit()
