__device__ float gelu(float v) {
  return 0.5f * v * (1.0f + tanhf(0.7978845608f * (v + 0.044715f * v * v * v)));
}

// 1a. The bias by itself: the sum goes to memory ...
extern "C" __global__ void bias_gelu1_bias(const float* x, const float* bias, float* y, int total, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < total) y[i] = x[i] + bias[i % n];
}

// 1b. ... and comes back for the activation.
extern "C" __global__ void bias_gelu1_gelu(float* y, int total) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < total) y[i] = gelu(y[i]);
}

// 2. Fused: the sum stays in a register.
extern "C" __global__ void bias_gelu2_fused(const float* x, const float* bias, float* y, int total, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < total) y[i] = gelu(x[i] + bias[i % n]);
}

// 3. Fused, four elements a thread; the row length must be a multiple of four.
extern "C" __global__ void bias_gelu3_float4(const float* x, const float* bias, float* y, int total, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= total / 4) return;
  float4 v = reinterpret_cast<const float4*>(x)[i];
  float4 b = reinterpret_cast<const float4*>(bias)[i % (n / 4)];
  reinterpret_cast<float4*>(y)[i] = make_float4(gelu(v.x + b.x), gelu(v.y + b.y), gelu(v.z + b.z), gelu(v.w + b.w));
}
