fours = r"""
extern "C" __global__ void fours(const float* A, const float* B, float* C,
                                 int M, int N, int K) {
  int col = blockIdx.x * 32 + threadIdx.y, row = blockIdx.y * 32 + threadIdx.x;
  for (int i = 0; i < 4; ++i) {
    float sum = 0.0f;
    if (row < M && col + 8 * i < N) {
      for (int k = 0; k < K; ++k) sum += A[row * K + k] * B[k * N + col + 8 * i];
      C[row * N + col + 8 * i] = sum;
    }
  }
}
"""
