scale = r"""
extern "C" __global__ void scale(const float* a, const float* s, float* out, int rows, int cols) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r < rows)
    for (int c = 0; c < cols; ++c) out[r * cols + c] = a[r * cols + c] * s[c];
}
"""
