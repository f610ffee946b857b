absmax = r"""
constexpr unsigned ALL = 0xffffffffu;
extern "C" __global__ void absmax(const float* x, float* out, int rows, int n) {
  int r = blockIdx.x * 4 + threadIdx.x / 32, lane = threadIdx.x % 32;
  float top = 0.0f;
  for (int j = lane; j < n; j += 32) top = fmaxf(top, fabsf(x[r * n + j]));
  for (int d = 16; d > 0; d >>= 1) top = fmaxf(top, __shfl_xor_sync(ALL, top, d));
  if (lane == 0) out[r] = top;
}
"""
