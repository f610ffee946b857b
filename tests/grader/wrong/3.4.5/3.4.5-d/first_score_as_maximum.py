decode = r"""
extern "C" __global__ void decode(const float* q, const float* K, const float* V, float* o,
                                  int S, float scale) {
  int head = blockIdx.x, lane = threadIdx.x;
  float q0 = q[head * 64 + lane], q1 = q[head * 64 + lane + 32];
  float top = -INFINITY, sum = 0.0f, a0 = 0.0f, a1 = 0.0f;
  for (int j = 0; j < S; ++j) {
    int row = (head * S + j) * 64;
    float s = q0 * K[row + lane] + q1 * K[row + lane + 32];
    for (int d = 16; d > 0; d >>= 1) s += __shfl_xor_sync(0xffffffff, s, d);
    s *= scale;
    float higher = j == 0 ? s : top, old = expf(top - higher), p = expf(s - higher);
    sum = sum * old + p;
    a0 = a0 * old + p * V[row + lane];
    a1 = a1 * old + p * V[row + lane + 32];
    top = higher;
  }
  o[head * 64 + lane] = a0 / sum;
  o[head * 64 + lane + 32] = a1 / sum;
}
"""
