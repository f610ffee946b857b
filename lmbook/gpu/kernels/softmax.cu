#define WARPS 4
#define ALL 0xffffffffu

// 1. A thread for each row: lanes stand a whole row apart, 32 sectors a request; three passes.
extern "C" __global__ void softmax1_thread(const float* x, float* y, int rows, int n) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  float top = -INFINITY, sum = 0.0f;
  for (int j = 0; j < n; ++j) top = fmaxf(top, x[r * n + j]);
  for (int j = 0; j < n; ++j) sum += expf(x[r * n + j] - top);
  for (int j = 0; j < n; ++j) y[r * n + j] = expf(x[r * n + j] - top) / sum;
}

// 2. A warp for each row: lanes walk along it, 4 sectors a request; still three passes.
extern "C" __global__ void softmax2_warp(const float* x, float* y, int rows, int n) {
  int r = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (r >= rows) return;
  float top = -INFINITY, sum = 0.0f;
  for (int j = lane; j < n; j += 32) top = fmaxf(top, x[r * n + j]);
  for (int d = 16; d > 0; d >>= 1) top = fmaxf(top, __shfl_xor_sync(ALL, top, d));
  for (int j = lane; j < n; j += 32) sum += expf(x[r * n + j] - top);
  for (int d = 16; d > 0; d >>= 1) sum += __shfl_xor_sync(ALL, sum, d);
  for (int j = lane; j < n; j += 32) y[r * n + j] = expf(x[r * n + j] - top) / sum;
}

// 3. Online: maximum and sum in one pass, the sum rescaled whenever the maximum grows; two passes.
extern "C" __global__ void softmax3_online(const float* x, float* y, int rows, int n) {
  int r = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (r >= rows) return;
  float top = -INFINITY, sum = 0.0f;
  for (int j = lane; j < n; j += 32) {
    float v = x[r * n + j], higher = fmaxf(top, v);
    if (v == -INFINITY) continue;  // masked: no share, and inf - inf is no number
    sum = sum * expf(top - higher) + expf(v - higher);
    top = higher;
  }
  float all = top;
  for (int d = 16; d > 0; d >>= 1) all = fmaxf(all, __shfl_xor_sync(ALL, all, d));
  sum *= expf(top - all);
  for (int d = 16; d > 0; d >>= 1) sum += __shfl_xor_sync(ALL, sum, d);
  for (int j = lane; j < n; j += 32) y[r * n + j] = expf(x[r * n + j] - all) / sum;
}

// 4. The row stays in registers, up to 1024 numbers: every byte is read once and written once.
#define HELD 32
extern "C" __global__ void softmax4_registers(const float* x, float* y, int rows, int n) {
  int r = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (r >= rows) return;
  float held[HELD];
  float top = -INFINITY, sum = 0.0f;
  #pragma unroll
  for (int k = 0; k < HELD; ++k) {
    int j = lane + 32 * k;
    held[k] = j < n ? x[r * n + j] : -INFINITY;
    top = fmaxf(top, held[k]);
  }
  for (int d = 16; d > 0; d >>= 1) top = fmaxf(top, __shfl_xor_sync(ALL, top, d));
  #pragma unroll
  for (int k = 0; k < HELD; ++k) {
    held[k] = expf(held[k] - top);
    sum += held[k];
  }
  for (int d = 16; d > 0; d >>= 1) sum += __shfl_xor_sync(ALL, sum, d);
  #pragma unroll
  for (int k = 0; k < HELD; ++k) {
    int j = lane + 32 * k;
    if (j < n) y[r * n + j] = held[k] / sum;
  }
}
