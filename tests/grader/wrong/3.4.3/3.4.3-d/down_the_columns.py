dequantise = r"""
extern "C" __global__ void dequantise(const signed char* q, const float* scale, float* w, int rows, int cols) {
  int t = blockIdx.x * blockDim.x + threadIdx.x;
  if (t >= rows * cols) return;
  int r = t % rows, c = t / rows, groups = (cols + 31) / 32;
  w[r * cols + c] = q[r * cols + c] * scale[r * groups + c / 32];
}
"""
