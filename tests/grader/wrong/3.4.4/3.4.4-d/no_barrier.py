fours = r"""
extern "C" __global__ void fours(const float* A, const float* B, float* C,
                                 int M, int N, int K) {
  __shared__ float a[32][32];
  __shared__ float b[32][32];
  int x = threadIdx.x, y = threadIdx.y;
  int col = blockIdx.x * 32 + x, row = blockIdx.y * 32 + y;
  float sum[4] = {0.0f};
  for (int t = 0; t < K; t += 32) {
    #pragma unroll
    for (int i = 0; i < 4; ++i) {
      int r = y + 8 * i;
      a[r][x] = (row + 8 * i < M && t + x < K) ? A[(row + 8 * i) * K + t + x] : 0.0f;
      b[r][x] = (t + r < K && col < N) ? B[(t + r) * N + col] : 0.0f;
    }
    for (int k = 0; k < 32; ++k) {
      float one = b[k][x];
      #pragma unroll
      for (int i = 0; i < 4; ++i) sum[i] += a[y + 8 * i][k] * one;
    }
    __syncthreads();                                   // all have used them
  }
  #pragma unroll
  for (int i = 0; i < 4; ++i)
    if (row + 8 * i < M && col < N) C[(row + 8 * i) * N + col] = sum[i];
}
"""
