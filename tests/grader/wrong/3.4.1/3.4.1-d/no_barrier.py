planar = r"""
extern "C" __global__ void planar(const float* rgb, float* out, int n) {
  __shared__ float s[768];
  int t = threadIdx.x, first = blockIdx.x * 256;
  for (int k = t; k < 768; k += 256)
    if (3 * first + k < 3 * n) s[k] = rgb[3 * first + k];
  if (first + t < n)
    for (int c = 0; c < 3; ++c) out[c * n + first + t] = s[3 * t + c];
}
"""
