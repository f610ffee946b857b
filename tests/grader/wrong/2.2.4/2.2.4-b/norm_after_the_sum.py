def transformer_block(x, layer):
    x = layer.norm1(x + layer.self_attn(x, x, x)[0])
    return layer.norm2(x + layer.linear2(F.relu(layer.linear1(x))))
