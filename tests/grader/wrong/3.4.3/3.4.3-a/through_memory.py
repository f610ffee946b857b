residual = r"""
extern "C" __global__ void residual(const float* x, const float* bias, const float* r, float* y, int rows, int cols) {
  int t = blockIdx.x * blockDim.x + threadIdx.x;
  if (t >= rows * cols) return;
  y[t] = x[t] + bias[t % cols];
  y[t] = fmaxf(y[t], 0.0f) + r[t];
}
"""
