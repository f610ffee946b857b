scale = r"""
extern "C" __global__ void scale(const float* a, const float* s, float* out, int rows, int cols) {
  int t = blockIdx.x * blockDim.x + threadIdx.x;
  int r = t % rows, c = t / rows;
  if (t < rows * cols) out[r * cols + c] = a[r * cols + c] * s[c];
}
"""
