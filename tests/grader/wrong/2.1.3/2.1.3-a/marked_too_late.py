def topological(root):
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, done = stack.pop()
        if done and node not in seen:
            seen.add(node)
            order.append(node)
        elif not done:
            stack.append((node, True))
            stack.extend((p, False) for p in node.parents)
    return order
