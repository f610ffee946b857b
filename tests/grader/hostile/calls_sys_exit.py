# verdict: exit
import sys

sys.exit("good bye")
