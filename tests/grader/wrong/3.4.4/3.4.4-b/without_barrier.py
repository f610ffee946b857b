product = r"""
extern "C" __global__ void product(const float* A, const float* B, float* C,
                                   int M, int N, int K) {
  __shared__ float As[32][33];
  __shared__ float Bs[32][32];
  int tx = threadIdx.x, ty = threadIdx.y;
  int col = blockIdx.x * 32 + tx, row = blockIdx.y * 32 + ty;
  float sum = 0.0f;
  for (int t = 0; t < K; t += 32) {
    As[tx][ty] = (row < M && t + tx < K) ? A[row * K + t + tx] : 0.0f;
    Bs[ty][tx] = (t + ty < K && col < N) ? B[(t + ty) * N + col] : 0.0f;
    __syncthreads();
    for (int k = 0; k < 32; ++k) sum += As[k][ty] * Bs[k][tx];
  }
  if (row < M && col < N) C[row * N + col] = sum;
}
"""
