"""The speed of lmbook beside PyTorch: the same work, the same numbers, interleaved in one run.

python -m benchmarks            measure everything, print the table, write the page's data and chart
python -m benchmarks --quick    fewer and shorter blocks
"""
