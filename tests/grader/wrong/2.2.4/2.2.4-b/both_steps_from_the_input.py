def transformer_block(x, layer):
    y, z = layer.norm1(x), layer.norm2(x)
    return x + layer.self_attn(y, y, y)[0] + layer.linear2(F.relu(layer.linear1(z)))
