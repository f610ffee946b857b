def train(net, x, y, epochs, size, rate):
    optimizer = optim.SGD(net.parameters(), lr=rate)
    for _ in range(epochs):
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            loss = F.cross_entropy(net(lmbook.tensor(x[rows])), lmbook.tensor(y[rows]))
            loss.backward()
            optimizer.zero_grad()
            optimizer.step()
