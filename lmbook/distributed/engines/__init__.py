"""Adapters: the same communicator on PyTorch, MPI and Ray. Each library is imported when it is asked for."""
