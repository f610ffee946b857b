scale = r"""
extern "C" __global__ void scale(const float* a, const float* s, float* out, int rows, int cols) {
  int t = blockIdx.x * blockDim.x + threadIdx.x;
  if (t < rows * cols) out[t] = a[t] * s[t / cols];
}
"""
