// 1. Neighbouring threads take neighbouring rows of C.
extern "C" __global__ void matmul1_naive(const float* A, const float* B, float* C, int M, int N, int K) {
  int row = blockIdx.x * blockDim.x + threadIdx.x, col = blockIdx.y * blockDim.y + threadIdx.y;
  if (row < M && col < N) {
    float sum = 0.0f;
    for (int k = 0; k < K; ++k) sum += A[row * K + k] * B[k * N + col];
    C[row * N + col] = sum;
  }
}

// 2. Neighbouring threads take neighbouring columns of C.
extern "C" __global__ void matmul2_coalesced(const float* A, const float* B, float* C, int M, int N, int K) {
  int col = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
  if (row < M && col < N) {
    float sum = 0.0f;
    for (int k = 0; k < K; ++k) sum += A[row * K + k] * B[k * N + col];
    C[row * N + col] = sum;
  }
}

// 3. Tiles of 32 x 32 in shared memory: each number from global memory is used 32 times.
#define T 32
extern "C" __global__ void matmul3_tiled(const float* A, const float* B, float* C, int M, int N, int K) {
  __shared__ float As[T][T];
  __shared__ float Bs[T][T];
  int tx = threadIdx.x, ty = threadIdx.y;
  int col = blockIdx.x * T + tx, row = blockIdx.y * T + ty;
  float sum = 0.0f;
  for (int t = 0; t < K; t += T) {
    As[ty][tx] = (row < M && t + tx < K) ? A[row * K + t + tx] : 0.0f;
    Bs[ty][tx] = (t + ty < K && col < N) ? B[(t + ty) * N + col] : 0.0f;
    __syncthreads();
    for (int k = 0; k < T; ++k) sum += As[ty][k] * Bs[k][tx];
    __syncthreads();
  }
  if (row < M && col < N) C[row * N + col] = sum;
}

#define BM 64
#define BN 64
#define BK 8
#define TM 4
#define TN 4

// 4. Each thread holds 4 x 4 results in registers.
extern "C" __global__ void __launch_bounds__(256)
matmul4_registers(const float* A, const float* B, float* C, int M, int N, int K) {
  __shared__ float As[BK][BM];
  __shared__ float Bs[BK][BN];
  int tid = threadIdx.x, tr = tid / (BN / TN), tc = tid % (BN / TN);
  int row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
  float sum[TM][TN] = {0.0f};
  float a[TM], b[TN];
  for (int t = 0; t < K; t += BK) {
    for (int i = tid; i < BM * BK; i += 256) {
      int r = i / BK, k = i % BK;
      As[k][r] = (row0 + r < M && t + k < K) ? A[(row0 + r) * K + t + k] : 0.0f;
    }
    for (int i = tid; i < BN * BK; i += 256) {
      int k = i / BN, c = i % BN;
      Bs[k][c] = (t + k < K && col0 + c < N) ? B[(t + k) * N + col0 + c] : 0.0f;
    }
    __syncthreads();
    for (int k = 0; k < BK; ++k) {
      #pragma unroll
      for (int i = 0; i < TM; ++i) a[i] = As[k][tr * TM + i];
      #pragma unroll
      for (int j = 0; j < TN; ++j) b[j] = Bs[k][tc * TN + j];
      #pragma unroll
      for (int i = 0; i < TM; ++i)
        #pragma unroll
        for (int j = 0; j < TN; ++j) sum[i][j] += a[i] * b[j];
    }
    __syncthreads();
  }
  #pragma unroll
  for (int i = 0; i < TM; ++i)
    #pragma unroll
    for (int j = 0; j < TN; ++j) {
      int row = row0 + tr * TM + i, col = col0 + tc * TN + j;
      if (row < M && col < N) C[row * N + col] = sum[i][j];
    }
}

#define PAD 4

// 5. Four spare columns keep the transposed stores of A out of each other's banks, and loads are float4.
extern "C" __global__ void __launch_bounds__(256)
matmul5_vectorised(const float* A, const float* B, float* C, int M, int N, int K) {
  __shared__ float As[BK][BM + PAD];
  __shared__ float Bs[BK][BN];
  int tid = threadIdx.x, tr = tid / (BN / TN), tc = tid % (BN / TN);
  int row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
  float sum[TM][TN] = {0.0f};
  for (int t = 0; t < K; t += BK) {
    for (int i = tid; i < BM * BK; i += 256) {
      int r = i / BK, k = i % BK;
      As[k][r] = (row0 + r < M && t + k < K) ? A[(row0 + r) * K + t + k] : 0.0f;
    }
    for (int i = tid; i < BN * BK; i += 256) {
      int k = i / BN, c = i % BN;
      Bs[k][c] = (t + k < K && col0 + c < N) ? B[(t + k) * N + col0 + c] : 0.0f;
    }
    __syncthreads();
    for (int k = 0; k < BK; ++k) {
      float4 va = *reinterpret_cast<const float4*>(&As[k][tr * TM]);
      float4 vb = *reinterpret_cast<const float4*>(&Bs[k][tc * TN]);
      float a[TM] = {va.x, va.y, va.z, va.w};
      float b[TN] = {vb.x, vb.y, vb.z, vb.w};
      #pragma unroll
      for (int i = 0; i < TM; ++i)
        #pragma unroll
        for (int j = 0; j < TN; ++j) sum[i][j] += a[i] * b[j];
    }
    __syncthreads();
  }
  #pragma unroll
  for (int i = 0; i < TM; ++i)
    #pragma unroll
    for (int j = 0; j < TN; ++j) {
      int row = row0 + tr * TM + i, col = col0 + tc * TN + j;
      if (row < M && col < N) C[row * N + col] = sum[i][j];
    }
}

__device__ void fetch(const float* A, const float* B, float* a, float* b, int row0, int col0, int t, int M, int N,
                      int K) {
  #pragma unroll
  for (int u = 0; u < 2; ++u) {
    int i = threadIdx.x + 256 * u;
    int r = i / BK, k = i % BK;
    a[u] = (row0 + r < M && t + k < K) ? A[(row0 + r) * K + t + k] : 0.0f;
    int kb = i / BN, c = i % BN;
    b[u] = (t + kb < K && col0 + c < N) ? B[(t + kb) * N + col0 + c] : 0.0f;
  }
}

// 6. Two buffers: the next tile is fetched into registers while this one is used, and one barrier a tile is enough.
extern "C" __global__ void __launch_bounds__(256)
matmul6_double_buffered(const float* A, const float* B, float* C, int M, int N, int K) {
  __shared__ float As[2][BK][BM + PAD];
  __shared__ float Bs[2][BK][BN];
  int tid = threadIdx.x, tr = tid / (BN / TN), tc = tid % (BN / TN);
  int row0 = blockIdx.y * BM, col0 = blockIdx.x * BN, now = 0;
  float sum[TM][TN] = {0.0f};
  float next_a[2], next_b[2];
  fetch(A, B, next_a, next_b, row0, col0, 0, M, N, K);
  for (int t = 0; t < K; t += BK) {
    #pragma unroll
    for (int u = 0; u < 2; ++u) {
      int i = tid + 256 * u;
      As[now][i % BK][i / BK] = next_a[u];
      Bs[now][i / BN][i % BN] = next_b[u];
    }
    __syncthreads();
    if (t + BK < K) fetch(A, B, next_a, next_b, row0, col0, t + BK, M, N, K);
    for (int k = 0; k < BK; ++k) {
      float4 va = *reinterpret_cast<const float4*>(&As[now][k][tr * TM]);
      float4 vb = *reinterpret_cast<const float4*>(&Bs[now][k][tc * TN]);
      float a[TM] = {va.x, va.y, va.z, va.w};
      float b[TN] = {vb.x, vb.y, vb.z, vb.w};
      #pragma unroll
      for (int i = 0; i < TM; ++i)
        #pragma unroll
        for (int j = 0; j < TN; ++j) sum[i][j] += a[i] * b[j];
    }
    now ^= 1;
  }
  #pragma unroll
  for (int i = 0; i < TM; ++i)
    #pragma unroll
    for (int j = 0; j < TN; ++j) {
      int row = row0 + tr * TM + i, col = col0 + tc * TN + j;
      if (row < M && col < N) C[row * N + col] = sum[i][j];
    }
}
