def train(net, x, y, epochs, size, rate):
    optimizer = optim.SGD(net.parameters(), lr=rate)
    for _ in range(epochs):
        for start in range(0, len(x) - size, size):
            rows = slice(start, start + size)
            loss = F.cross_entropy(net(lmbook.tensor(x[rows])), lmbook.tensor(y[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
