residual = r"""
extern "C" __global__ void residual(const float* x, const float* bias, const float* r, float* y, int rows, int cols) {
  int t = blockIdx.x * blockDim.x + threadIdx.x;
  if (t >= rows * cols) return;
  int c = t / rows, i = t % rows * cols + c;
  y[i] = fmaxf(x[i] + bias[c], 0.0f) + r[i];
}
"""
