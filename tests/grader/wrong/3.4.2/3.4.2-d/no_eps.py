rms_norm = r"""
constexpr unsigned ALL = 0xffffffffu;
extern "C" __global__ void rms_norm(const float* x, const float* weight, float* y,
                                    int rows, int n, float eps) {
  extern __shared__ float row[];
  __shared__ float partial[4];
  int t = threadIdx.x, first = blockIdx.x * n;
  float sum = 0.0f;
  for (int j = t; j < n; j += 128) {
    float v = x[first + j];
    row[j] = v;
    sum += v * v;
  }
  for (int d = 16; d > 0; d >>= 1) sum += __shfl_xor_sync(ALL, sum, d);
  if (t % 32 == 0) partial[t / 32] = sum;
  __syncthreads();
  float scale = rsqrtf((partial[0] + partial[1] + partial[2] + partial[3]) / n);
  for (int j = t; j < n; j += 128) y[first + j] = row[j] * scale * weight[j];
}
"""
