merge = r"""
extern "C" __global__ void merge(const float* Oa, const float* La, const float* Ob,
                                 const float* Lb, float* O, float* L, int rows) {
  int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  float top = fmaxf(La[r], Lb[r]), a = expf(La[r] - top), b = expf(Lb[r] - top);
  for (int d = 0; d < 64; ++d) O[r * 64 + d] = (a * Oa[r * 64 + d] + b * Ob[r * 64 + d]) / (a + b);
  L[r] = top + logf(a + b);
}
"""
