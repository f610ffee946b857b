dequantise = r"""
extern "C" __global__ void dequantise(const signed char* q, const float* scale, float* w, int rows, int cols) {
  int t = blockIdx.x * blockDim.x + threadIdx.x;
  if (t < rows * cols) w[t] = q[t] * scale[t / 32];
}
"""
