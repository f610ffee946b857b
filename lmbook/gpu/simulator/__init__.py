"""The simulator of CUDA's model of execution, on NumPy."""
