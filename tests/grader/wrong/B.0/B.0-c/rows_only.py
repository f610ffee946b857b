def complaints(tensors, wanted):
    found = []
    for name in sorted(tensors.keys() | wanted.keys()):
        if name not in tensors:
            found.append(f"{name} is missing")
        elif name not in wanted:
            found.append(f"{name} is extra")
        else:
            have, (shape, dtype) = tensors[name], wanted[name]
            if have.shape != shape:
                found.append(f"{name} has the shape {have.shape}, not {shape}")
            elif have.dtype != dtype:
                found.append(f"{name} is {have.dtype}, not {dtype}")
    return found


def load(parameters, tensors):
    wanted = {name: (array.shape, array.dtype) for name, array in parameters.items()}
    if wrong := complaints(tensors, wanted):
        raise ValueError("; ".join(wrong))
    for name, array in parameters.items():
        array[:] = tensors[name]
