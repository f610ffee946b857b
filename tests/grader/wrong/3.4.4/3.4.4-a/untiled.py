linear = r"""
extern "C" __global__ void linear(const float* x, const float* w, float* y,
                                  int rows, int outs, int ins) {
  int o = blockIdx.x * 32 + threadIdx.x, r = blockIdx.y * 32 + threadIdx.y;
  if (r >= rows || o >= outs) return;
  float sum = 0.0f;
  for (int k = 0; k < ins; ++k) sum += x[r * ins + k] * w[o * ins + k];
  y[r * outs + o] = sum;
}
"""
