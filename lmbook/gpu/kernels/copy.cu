// 1. A thread for each element: neighbours in a warp touch neighbours in memory, 4 sectors a request.
extern "C" __global__ void copy1_scalar(const float* x, float* y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = x[i];
}

// 2. Loads begin one element further: a warp's 128 bytes straddle a fifth sector.
extern "C" __global__ void copy2_offset(const float* x, float* y, int n, int offset) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n - offset) y[i] = x[i + offset];
}

// 3. Every stride-th element: sectors come in for a few of their bytes; from stride 8 on each lane has its own.
extern "C" __global__ void copy3_strided(const float* x, float* y, int n, int stride) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < (n + stride - 1) / stride) y[i * stride] = x[i * stride];
}

// 4. Four elements a thread in one instruction: a quarter of the requests, all bytes used.
extern "C" __global__ void copy4_float4(const float* x, float* y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n / 4) reinterpret_cast<float4*>(y)[i] = reinterpret_cast<const float4*>(x)[i];
  if (i < n % 4) y[n / 4 * 4 + i] = x[n / 4 * 4 + i];
}
