#define WARPS 8
#define ALL 0xffffffffu

// 1. float32, a warp for each row: two operations for four bytes of weight.
extern "C" __global__ void matvec1_float32(const float* W, const float* x, float* y, int rows, int n) {
  int r = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (r >= rows) return;
  float sum = 0.0f;
  for (int j = lane; j < n; j += 32) sum += W[r * n + j] * x[j];
  for (int d = 16; d > 0; d >>= 1) sum += __shfl_xor_sync(ALL, sum, d);
  if (lane == 0) y[r] = sum;
}

// 2. int8 with a scale for each row: four weights a load, a quarter of the bytes.
extern "C" __global__ void matvec2_int8(const signed char* W, const float* scale, const float* x, float* y, int rows,
                                        int n) {
  int r = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (r >= rows) return;
  const char4* row = reinterpret_cast<const char4*>(W + r * n);
  const float4* x4 = reinterpret_cast<const float4*>(x);
  float sum = 0.0f;
  for (int j = lane; j < n / 4; j += 32) {
    char4 w = row[j];
    float4 v = x4[j];
    sum += w.x * v.x + w.y * v.y + w.z * v.z + w.w * v.w;
  }
  for (int d = 16; d > 0; d >>= 1) sum += __shfl_xor_sync(ALL, sum, d);
  if (lane == 0) y[r] = sum * scale[r];
}

// 3. int4 with a scale for each 32 weights: eight weights in a word, unpacked by shifts.
extern "C" __global__ void matvec3_int4(const unsigned int* W, const float* scale, const float* x, float* y, int rows,
                                        int n) {
  int r = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (r >= rows) return;
  float sum = 0.0f;
  for (int j = lane; j < n / 8; j += 32) {
    unsigned int word = W[r * (n / 8) + j];
    float part = 0.0f;
    #pragma unroll
    for (int k = 0; k < 8; ++k) part += (float)((int)((word >> (4 * k)) & 15u) - 8) * x[j * 8 + k];
    sum += part * scale[r * (n / 32) + j / 4];
  }
  for (int d = 16; d > 0; d >>= 1) sum += __shfl_xor_sync(ALL, sum, d);
  if (lane == 0) y[r] = sum;
}

// 4. int4, repacked: the eight weights of a word stand 32 columns apart, so the lanes of a warp want neighbours of x.
extern "C" __global__ void matvec4_repacked(const unsigned int* W, const float* scale, const float* x, float* y,
                                            int rows, int n) {
  int r = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (r >= rows) return;
  float sum = 0.0f;
  for (int first = 0; first < n; first += 256) {
    int words = min(32, (n - first) / 8);
    if (lane < words) {
      unsigned int word = W[(r * n + first) / 8 + lane];
      #pragma unroll
      for (int k = 0; k < 8; ++k) {
        int j = first + k * words + lane;
        sum += (float)((int)((word >> (4 * k)) & 15u) - 8) * x[j] * scale[(r * n + j) / 32];
      }
    }
  }
  for (int d = 16; d > 0; d >>= 1) sum += __shfl_xor_sync(ALL, sum, d);
  if (lane == 0) y[r] = sum;
}
