smooth = r"""
constexpr unsigned ALL = 0xffffffffu;
extern "C" __global__ void smooth(const float* x, float* y, int rows, int n) {
  int r = blockIdx.x * 4 + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (r >= rows) return;
  float top = -INFINITY, sum = 0.0f;
  for (int j = lane; j < n; j += 32) {
    float v = x[r * n + j], higher = fmaxf(top, v);
    if (v == -INFINITY) continue;
    sum = sum * expf(top - higher) + expf(v - higher);
    top = higher;
  }
  float all = top;
  for (int d = 16; d > 0; d >>= 1) all = fmaxf(all, __shfl_xor_sync(ALL, all, d));
  for (int d = 16; d > 0; d >>= 1) sum += __shfl_xor_sync(ALL, sum, d);
  for (int j = lane; j < n; j += 32) y[r * n + j] = expf(x[r * n + j] - all) / sum;
}
"""
