planar = r"""
extern "C" __global__ void planar(const float* rgb, float* out, int n) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i < n)
    for (int c = 0; c < 3; ++c) out[c * n + i] = rgb[3 * i + c];
}
"""
