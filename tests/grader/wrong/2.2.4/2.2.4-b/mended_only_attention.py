def transformer_block(x, layer):
    y = layer.norm1(x)
    x = x + layer.self_attn(y, y, y)[0]
    x = layer.norm2(x)
    return x + layer.linear2(F.relu(layer.linear1(x)))
