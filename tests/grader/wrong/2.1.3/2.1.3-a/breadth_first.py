def topological(root):
    order, seen, queue = [], {root}, [root]
    for node in queue:
        order.append(node)
        for p in node.parents:
            if p not in seen:
                seen.add(p)
                queue.append(p)
    return order[::-1]
