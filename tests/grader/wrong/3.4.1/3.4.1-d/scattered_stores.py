planar = r"""
extern "C" __global__ void planar(const float* rgb, float* out, int n) {
  for (int k = threadIdx.x; k < 768; k += 256) {
    int j = 768 * blockIdx.x + k;
    if (j < 3 * n) out[j % 3 * n + j / 3] = rgb[j];
  }
}
"""
