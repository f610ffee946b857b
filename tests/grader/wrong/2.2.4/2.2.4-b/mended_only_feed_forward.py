def transformer_block(x, layer):
    x = layer.norm1(x)
    x = x + layer.self_attn(x, x, x)[0]
    y = layer.norm2(x)
    return x + layer.linear2(F.relu(layer.linear1(y)))
