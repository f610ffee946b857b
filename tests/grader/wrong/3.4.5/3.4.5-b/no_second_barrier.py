online = r"""
extern "C" __global__ void online(const float* Q, const float* K, const float* V, float* O,
                                  int S, float scale) {
  __shared__ float s[64];
  int i = blockIdx.x, t = threadIdx.x;
  float top = -INFINITY, sum = 0.0f, acc = 0.0f;
  for (int c0 = 0; c0 <= i; c0 += 64) {
    float dot = 0.0f;
    if (c0 + t <= i)
      for (int d = 0; d < 64; ++d) dot += Q[i * 64 + d] * K[(c0 + t) * 64 + d];
    s[t] = c0 + t <= i ? dot * scale : -INFINITY;
    __syncthreads();
    float higher = top;
    for (int c = 0; c < 64; ++c) higher = fmaxf(higher, s[c]);
    float old = expf(top - higher);
    sum *= old;
    acc *= old;
    for (int c = 0; c < 64 && c0 + c <= i; ++c) {
      float p = expf(s[c] - higher);
      sum += p;
      acc += p * V[(c0 + c) * 64 + t];
    }
    top = higher;
  }
  O[i * 64 + t] = acc / sum;
}
"""
