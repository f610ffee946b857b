decode = r"""
extern "C" __global__ void decode(const float* q, const float* K, const float* V, float* o,
                                  int S, float scale) {
  int head = blockIdx.x, lane = threadIdx.x;
  float top = -INFINITY, sum = 0.0f, a0 = 0.0f, a1 = 0.0f;
  for (int first = 0; first < S; first += 32) {
    float mine = -INFINITY;
    if (first + lane < S) {
      mine = 0.0f;
      for (int d = 0; d < 64; ++d) mine += q[head * 64 + d] * K[(head * S + first + lane) * 64 + d];
      mine *= scale;
    }
    for (int c = 0; c < 32 && first + c < S; ++c) {
      float s = __shfl_sync(0xffffffff, mine, c);
      int row = (head * S + first + c) * 64;
      float higher = fmaxf(top, s), old = expf(top - higher), p = expf(s - higher);
      sum = sum * old + p;
      a0 = a0 * old + p * V[row + lane];
      a1 = a1 * old + p * V[row + lane + 32];
      top = higher;
    }
  }
  o[head * 64 + lane] = a0 / sum;
  o[head * 64 + lane + 32] = a1 / sum;
}
"""
