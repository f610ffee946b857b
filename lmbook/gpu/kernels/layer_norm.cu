#define THREADS 128
#define ALL 0xffffffffu

__device__ float block_sum(float v, float* partial) {
  for (int d = 16; d > 0; d >>= 1) v += __shfl_xor_sync(ALL, v, d);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = v;
  __syncthreads();
  float total = 0.0f;
  for (int w = 0; w < THREADS / 32; ++w) total += partial[w];
  __syncthreads();
  return total;
}

// 1. A thread for each row: 32 sectors a request, three passes over the row.
extern "C" __global__ void layer_norm1_thread(const float* x, const float* weight, const float* bias, float* y,
                                              int rows, int n, float eps) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  float mean = 0.0f, var = 0.0f;
  for (int j = 0; j < n; ++j) mean += x[r * n + j];
  mean /= n;
  for (int j = 0; j < n; ++j) {
    float d = x[r * n + j] - mean;
    var += d * d;
  }
  float scale = rsqrtf(var / n + eps);
  for (int j = 0; j < n; ++j) y[r * n + j] = (x[r * n + j] - mean) * scale * weight[j] + bias[j];
}

// 2. A block for each row: coalesced, but the row is still read three times.
extern "C" __global__ void layer_norm2_block(const float* x, const float* weight, const float* bias, float* y,
                                             int rows, int n, float eps) {
  __shared__ float partial[THREADS / 32];
  const float* row = x + blockIdx.x * n;
  float sum = 0.0f;
  for (int j = threadIdx.x; j < n; j += THREADS) sum += row[j];
  float mean = block_sum(sum, partial) / n;
  sum = 0.0f;
  for (int j = threadIdx.x; j < n; j += THREADS) {
    float d = row[j] - mean;
    sum += d * d;
  }
  float scale = rsqrtf(block_sum(sum, partial) / n + eps);
  for (int j = threadIdx.x; j < n; j += THREADS)
    y[blockIdx.x * n + j] = (row[j] - mean) * scale * weight[j] + bias[j];
}

// 3. The row is kept in shared memory: one read and one write.
extern "C" __global__ void layer_norm3_staged(const float* x, const float* weight,
                          const float* bias, float* y, int rows, int n, float eps) {
  extern __shared__ float row[];
  __shared__ float partial[THREADS / 32];
  float sum = 0.0f;
  for (int j = threadIdx.x; j < n; j += THREADS) {
    float v = x[blockIdx.x * n + j];
    row[j] = v;
    sum += v;
  }
  float mean = block_sum(sum, partial) / n;
  sum = 0.0f;
  for (int j = threadIdx.x; j < n; j += THREADS) {
    float d = row[j] - mean;
    sum += d * d;
  }
  float scale = rsqrtf(block_sum(sum, partial) / n + eps);
  for (int j = threadIdx.x; j < n; j += THREADS)
    y[blockIdx.x * n + j] = (row[j] - mean) * scale * weight[j] + bias[j];
}
