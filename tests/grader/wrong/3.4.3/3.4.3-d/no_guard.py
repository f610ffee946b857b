dequantise = r"""
extern "C" __global__ void dequantise(const signed char* q, const float* scale, float* w, int rows, int cols) {
  int t = blockIdx.x * blockDim.x + threadIdx.x;
  int r = t / cols, c = t % cols, groups = (cols + 31) / 32;
  w[t] = q[t] * scale[r * groups + c / 32];
}
"""
