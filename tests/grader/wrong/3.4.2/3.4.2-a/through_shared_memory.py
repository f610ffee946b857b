absmax = r"""
extern "C" __global__ void absmax(const float* x, float* out, int rows, int n) {
  __shared__ float best[128];
  int r = blockIdx.x * 4 + threadIdx.x / 32, t = threadIdx.x, lane = t % 32;
  float top = 0.0f;
  if (r < rows)
    for (int j = lane; j < n; j += 32) top = fmaxf(top, fabsf(x[r * n + j]));
  best[t] = top;
  for (int d = 16; d > 0; d >>= 1) {
    __syncthreads();
    if (lane < d) best[t] = fmaxf(best[t], best[t + d]);
  }
  if (lane == 0 && r < rows) out[r] = best[t];
}
"""
