def transformer_block(x, layer):
    x = x + layer.self_attn(layer.norm1(x), x, x)[0]
    return x + layer.linear2(F.relu(layer.linear1(layer.norm2(x))))
